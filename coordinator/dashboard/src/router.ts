// The page's routes and the way between them: the History API, nothing else.
import { Store } from './state/store';

export type Route =
  | { page: 'jobs' }
  | { page: 'job'; id: string }
  | { page: 'devices' }
  | { page: 'models' }
  | { page: 'keys' }
  | { page: 'unknown'; path: string };

export function parseRoute(path: string): Route {
  const parts = path.split('/').filter((part) => part !== '');
  if (parts.length === 0) return { page: 'jobs' };
  const [first, second] = parts;
  if (parts.length === 1 && first === 'jobs') return { page: 'jobs' };
  if (parts.length === 1 && (first === 'devices' || first === 'models' || first === 'keys')) return { page: first };
  if (parts.length === 2 && first === 'jobs' && second !== undefined) {
    try {
      return { page: 'job', id: decodeURIComponent(second) };
    } catch {
      return { page: 'unknown', path };
    }
  }
  return { page: 'unknown', path };
}

export function jobPath(id: string): string {
  return `/jobs/${encodeURIComponent(id)}`;
}

export class Router {
  readonly route: Store<Route>;

  constructor() {
    this.route = new Store(parseRoute(location.pathname));
    addEventListener('popstate', () => this.route.set(parseRoute(location.pathname)));
  }

  go(path: string): void {
    history.pushState(null, '', path);
    this.route.set(parseRoute(location.pathname));
    scrollTo(0, 0);
  }

  // A number kept in the address's query, so that a reload or a shared link shows the same.
  queryNumber(name: string, fallback: number): number {
    const value = Number(new URLSearchParams(location.search).get(name) ?? fallback);
    return Number.isSafeInteger(value) && value >= 0 ? value : fallback;
  }

  setQueryNumber(name: string, value: number): void {
    const address = new URL(location.href);
    if (value === 0) address.searchParams.delete(name);
    else address.searchParams.set(name, String(value));
    history.replaceState(null, '', address);
  }
}
