// Who is signed in. The session itself is a cookie that scripts cannot read; this knows only whether there is one.
import { ApiError, messageOf, type ApiClient } from '../api/client';
import type { Me } from '../api/types';
import { Store } from './store';
import { takeFragment } from './fragment';

export type SessionState =
  | { kind: 'starting' }
  | { kind: 'signed_out'; notice: string | null }
  | { kind: 'signed_in'; me: Me };

const JOIN_LINK_NOTICE =
  'That was a join link. It is not for a browser: on the machine that shall work, run fallow-agent join LINK.';
const ENDED_NOTICE = 'Your session has ended. Sign in again to go on.';

// Remembers across visits that there may be a session, so that a first visit asks for none in vain.
const SESSION_HINT = 'fallow.session';

export class Session {
  readonly state = new Store<SessionState>({ kind: 'starting' });
  private turn = 0; // of sign-ins and sign-outs: what an earlier one still brings does not count

  constructor(private readonly api: ApiClient) {
    api.onSessionEnded = () => this.end();
  }

  async start(): Promise<void> {
    addEventListener('hashchange', () => void this.followLink());
    if (await this.followLink()) return;
    if (localStorage.getItem(SESSION_HINT) === null) return this.leave(null);
    await this.enter(this.begin());
  }

  // Null when it worked, otherwise what to tell the person.
  async signIn(key: string): Promise<string | null> {
    const turn = this.begin();
    try {
      await this.api.signIn(key.trim());
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        return 'This key is not known here. Check that it is complete and has not been revoked.';
      }
      return messageOf(error);
    }
    await this.enter(turn);
    return null;
  }

  async signOut(): Promise<void> {
    const turn = this.begin();
    try {
      await this.api.signOut();
    } catch {
      // Without the coordinator there is nothing to sign out of; the page forgets what it knows all the same.
    }
    if (turn === this.turn) this.leave(null);
  }

  // Of who has signed out the late replies say nothing more.
  end(): void {
    if (this.state.get().kind !== 'signed_out') this.leave(ENDED_NOTICE);
  }

  // True if the address was a link that decided what to show.
  private async followLink(): Promise<boolean> {
    const fragment = takeFragment();
    if (fragment.kind === 'none') return false;
    if (fragment.kind === 'join') {
      this.leave(JOIN_LINK_NOTICE);
      return true;
    }
    const turn = this.turn + 1;
    const problem = await this.signIn(fragment.key);
    if (problem !== null && turn === this.turn) this.leave(problem);
    return true;
  }

  private begin(): number {
    this.turn += 1;
    return this.turn;
  }

  private async enter(turn: number): Promise<void> {
    try {
      const me = await this.api.me();
      if (turn !== this.turn) return;
      localStorage.setItem(SESSION_HINT, '1');
      this.state.set({ kind: 'signed_in', me });
    } catch (error) {
      if (turn !== this.turn) return;
      this.leave(error instanceof ApiError && error.status === 401 ? ENDED_NOTICE : messageOf(error));
    }
  }

  private leave(notice: string | null): void {
    localStorage.removeItem(SESSION_HINT);
    this.state.set({ kind: 'signed_out', notice });
  }
}
