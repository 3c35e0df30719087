// The API as functions. Every failure is an ApiError whose message may be shown to the person as it is.
import type { Device, Job, Key, Me, Model, NewKey, Page, Request, Role } from './types';

export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number, // 0: the coordinator could not be reached
    readonly code: string | null = null,
  ) {
    super(message);
  }
}

export const UNREACHABLE =
  'The coordinator does not answer. Check that it is running and that this machine can reach it.';

async function readError(reply: Response): Promise<ApiError> {
  try {
    const { error } = (await reply.json()) as { error: { message: string; code: string | null } };
    return new ApiError(error.message, reply.status, error.code);
  } catch {
    return new ApiError(`The coordinator answered with status ${reply.status}.`, reply.status);
  }
}

export class ApiClient {
  // Called when a call is refused because the session has ended.
  onSessionEnded: () => void = () => {};
  private session = 0; // how many there have been

  async signIn(key: string): Promise<void> {
    await this.call('POST', '/api/session', { key });
    this.session += 1;
  }
  signOut(): Promise<void> {
    return this.call('DELETE', '/api/session');
  }
  me(): Promise<Me> {
    return this.call('GET', '/api/me');
  }

  jobs(limit: number, after?: string): Promise<Page<Job>> {
    const cursor = after === undefined ? '' : `&after=${encodeURIComponent(after)}`;
    return this.call('GET', `/api/jobs?limit=${limit}${cursor}`);
  }
  job(id: string): Promise<Job> {
    return this.call('GET', `/api/jobs/${encodeURIComponent(id)}`);
  }
  cancelJob(id: string): Promise<Job> {
    return this.call('POST', `/api/jobs/${encodeURIComponent(id)}/cancel`);
  }
  requests(job: string, first: number, count: number): Promise<Page<Request>> {
    return this.call('GET', `/api/jobs/${encodeURIComponent(job)}/requests?first=${first}&count=${count}`);
  }

  devices(): Promise<Page<Device>> {
    return this.call('GET', '/api/devices');
  }
  removeDevice(id: string): Promise<void> {
    return this.call('DELETE', `/api/devices/${encodeURIComponent(id)}`);
  }
  joinLink(): Promise<{ link: string }> {
    return this.call('GET', '/api/join');
  }

  models(): Promise<Page<Model>> {
    return this.call('GET', '/api/models');
  }

  keys(): Promise<Page<Key>> {
    return this.call('GET', '/api/keys');
  }
  createKey(name: string, role: Role): Promise<NewKey> {
    return this.call('POST', '/api/keys', { name, role });
  }
  revokeKey(id: string): Promise<void> {
    return this.call('DELETE', `/api/keys/${encodeURIComponent(id)}`);
  }

  private async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const init: RequestInit = { method, credentials: 'same-origin', headers: { accept: 'application/json' } };
    if (body !== undefined) {
      init.body = JSON.stringify(body);
      init.headers = { accept: 'application/json', 'content-type': 'application/json' };
    }
    const session = this.session;
    let reply: Response;
    try {
      reply = await fetch(path, init);
    } catch {
      throw new ApiError(UNREACHABLE, 0);
    }
    if (!reply.ok) {
      const error = await readError(reply);
      // A call of a session before says nothing of this one.
      if (reply.status === 401 && path !== '/api/session' && session === this.session) this.onSessionEnded();
      throw error;
    }
    try {
      return (reply.status === 204 ? undefined : await reply.json()) as T;
    } catch {
      throw new ApiError(UNREACHABLE, 0); // the reply broke off
    }
  }
}

// Where a browser saves a file of a job from; the session cookie is enough.
export function fileAddress(fileId: string): string {
  return `/v1/files/${encodeURIComponent(fileId)}/content`;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
