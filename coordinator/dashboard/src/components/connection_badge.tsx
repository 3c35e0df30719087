// Whether what the page shows is live.
import type { FeedState } from '../api/event_feed';
import { useServices } from '../state/context';
import { useStore } from '../state/store';

const WORDS: Record<FeedState, { text: string; title: string }> = {
  connecting: { text: 'Connecting', title: 'Connecting to the coordinator' },
  live: { text: 'Live', title: 'What you see is up to date' },
  reconnecting: {
    text: 'Reconnecting',
    title: 'The coordinator does not answer; what you see may be old. The page goes on by itself when it is back.',
  },
};

export function ConnectionBadge() {
  const { fleet } = useServices();
  const state = useStore(fleet).feed;
  const { text, title } = WORDS[state];
  return (
    <span class={`connection connection-${state}`} title={title} role="status">
      <span class="dot" aria-hidden="true" />
      <span class="connection-text">{text}</span>
    </span>
  );
}
