// Keeps the fleet fed while somebody is signed in and looks at the page.
import { EventFeed } from '../api/event_feed';
import { applyEvent, forgotten, type Fleet } from './fleet';
import type { Store } from './store';

// A browser allows six connections to a host: a page nobody looks at gives its own back after this time.
const HIDDEN_LIMIT_MS = 60_000;

// Returns the function that ends it and forgets the fleet.
export function followFleet(fleet: Store<Fleet>, onSessionEnded: () => void): () => void {
  const feed = new EventFeed('/api/events', {
    onEvent: (event) => fleet.set(applyEvent(fleet.get(), event)),
    onState: (state) => fleet.set({ ...fleet.get(), feed: state }),
    onSessionEnded,
  });

  let hiddenTimer: ReturnType<typeof setTimeout> | undefined;
  let asleep = false;
  const onVisibility = () => {
    clearTimeout(hiddenTimer);
    if (document.hidden) {
      hiddenTimer = setTimeout(() => {
        asleep = true;
        feed.stop();
      }, HIDDEN_LIMIT_MS);
    } else if (asleep) {
      asleep = false;
      feed.start();
    }
  };

  document.addEventListener('visibilitychange', onVisibility);
  addEventListener('online', wake);
  feed.start();

  // The network is back. A connection from before it went may look alive and bring nothing.
  function wake(): void {
    if (!asleep) feed.start();
  }

  return () => {
    document.removeEventListener('visibilitychange', onVisibility);
    removeEventListener('online', wake);
    clearTimeout(hiddenTimer);
    feed.stop();
    fleet.set(forgotten(fleet.get()));
  };
}
