// The words the page uses for states, in one place.
import type { ChatMessage, DeviceState, Job, JobState, Request, RequestState } from './api/types';

// The colour a state is shown in; the text always says the same.
export type Tone = 'good' | 'busy' | 'wait' | 'warn' | 'bad' | 'quiet';

export const JOB_STATE: Record<JobState, { text: string; tone: Tone }> = {
  validating: { text: 'Checking the file', tone: 'wait' },
  in_progress: { text: 'Running', tone: 'busy' },
  finalizing: { text: 'Writing results', tone: 'busy' },
  completed: { text: 'Done', tone: 'good' },
  failed: { text: 'Failed', tone: 'bad' },
  expired: { text: 'Out of time', tone: 'bad' },
  cancelling: { text: 'Cancelling', tone: 'warn' },
  cancelled: { text: 'Cancelled', tone: 'quiet' },
};

export const DEVICE_STATE: Record<DeviceState, { text: string; tone: Tone; meaning: string }> = {
  working: { text: 'Working', tone: 'busy', meaning: 'Runs requests now.' },
  idle: { text: 'Idle', tone: 'good', meaning: 'Free, and waiting for work.' },
  in_use: { text: 'In use', tone: 'warn', meaning: 'Its owner is there; it takes no work.' },
  paused: { text: 'Paused', tone: 'wait', meaning: 'Its owner has paused it.' },
  faulty: { text: 'Faulty', tone: 'bad', meaning: 'Something on it must be mended first.' },
  offline: { text: 'Offline', tone: 'quiet', meaning: 'Not heard of for 90 seconds.' },
};

export const REQUEST_STATE: Record<RequestState, { text: string; tone: Tone }> = {
  pending: { text: 'Waiting', tone: 'quiet' },
  leased: { text: 'Running', tone: 'busy' },
  done: { text: 'Done', tone: 'good' },
  failed: { text: 'Failed', tone: 'bad' },
};

export const FINISH_REASON: Record<string, string> = {
  stop: 'finished by itself',
  length: 'cut off at the token limit',
};

// What a person would call the job: a name given in its metadata, or the start of its id.
export function jobTitle(job: Job): string {
  return job.metadata?.['name'] ?? job.metadata?.['description'] ?? shortId(job.id);
}

// "batch_0f3a9c1e…": enough to tell two apart.
export function shortId(id: string): string {
  const underscore = id.indexOf('_');
  const end = underscore + 1 + 10;
  return id.length <= end + 2 ? id : `${id.slice(0, end)}…`;
}

export function textOf(message: ChatMessage | undefined): string {
  const content = message?.content;
  if (content === undefined || content === null) return '';
  if (typeof content === 'string') return content;
  return content.map((part) => part.text ?? `[${part.type}]`).join('');
}

// The line a request is recognised by: the last message of its user.
export function questionOf(request: Request): string {
  const messages = request.body?.messages ?? [];
  const last = messages.filter((message) => message.role === 'user').at(-1) ?? messages.at(-1);
  return textOf(last);
}

export function answerOf(request: Request): string {
  return textOf(request.response?.choices?.[0]?.message);
}
