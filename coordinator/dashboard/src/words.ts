// The words the page uses for states, in one place.
import type {
  ChatCompletion, ChatMessage, DeviceState, EmbeddingsPreview, Job, JobState, Request, RequestState,
} from './api/types';
import { countOf } from './format';

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

export function asksForVectors(job: Job): boolean {
  return job.endpoint === '/v1/embeddings';
}

export function completionOf(request: Request): ChatCompletion | null {
  return vectorsOf(request) === null ? (request.response as ChatCompletion | null) : null;
}

export function vectorsOf(request: Request): EmbeddingsPreview | null {
  const response = request.response;
  return response !== null && 'object' in response && response.object === 'embeddings_preview' ? response : null;
}

// The texts of which vectors are asked; token ids as they stand in the line.
export function inputsOf(request: Request): string[] {
  const input = request.body?.input;
  if (input === undefined || input === null) return [];
  if (typeof input === 'string') return [input];
  if (!Array.isArray(input)) return [];
  if (typeof input[0] === 'number') return [`[${input.join(', ')}]`];
  return input.map((item) => (typeof item === 'string' ? item : JSON.stringify(item)));
}

// The line a request is recognised by: the last message of its user, or the first of its inputs.
export function questionOf(request: Request): string {
  const inputs = inputsOf(request);
  if (inputs.length > 0) {
    return inputs.length === 1 ? inputs[0]! : `${inputs[0]} (and ${countOf(inputs.length - 1, 'more input')})`;
  }
  const messages = request.body?.messages ?? [];
  const last = messages.filter((message) => message.role === 'user').at(-1) ?? messages.at(-1);
  return textOf(last);
}

export function answerOf(request: Request): string {
  const vectors = vectorsOf(request);
  if (vectors === null) return textOf(completionOf(request)?.choices?.[0]?.message);
  return `${countOf(vectors.vector_count, 'vector')} of ${countOf(vectors.vector_length, 'value')}`;
}
