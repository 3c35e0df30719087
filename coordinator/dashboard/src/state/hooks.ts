// Small hooks that pages share.
import type { RefObject } from 'preact';
import { useCallback, useEffect, useLayoutEffect, useState } from 'preact/hooks';
import { messageOf } from '../api/client';

// The time in Unix seconds, new every `intervalMs`.
export function useNow(intervalMs = 1000): number {
  const [now, setNow] = useState(() => Date.now() / 1000);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now() / 1000), intervalMs);
    return () => clearInterval(timer);
  }, [intervalMs]);
  return now;
}

export interface Loaded<T> {
  value: T | null;
  error: string | null;
  reload: () => void;
}

// Loads once, and again when `dependencies` change or `reload` is called. A reply that comes too late is dropped;
// the value before stays until the next one is there.
export function useLoaded<T>(load: () => Promise<T>, dependencies: readonly unknown[]): Loaded<T> {
  const [value, setValue] = useState<T | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let current = true;
    load().then(
      (loaded) => {
        if (!current) return;
        setValue(() => loaded);
        setError(null);
      },
      (problem: unknown) => {
        if (current) setError(messageOf(problem));
      },
    );
    return () => {
      current = false;
    };
  }, [...dependencies, turn]);
  const reload = useCallback(() => setTurn((n) => n + 1), []);
  return { value, error, reload };
}

// `/` moves to the page's filter, from the moment it is painted, as long as the person is not typing elsewhere.
export function useFilterKey(input: RefObject<HTMLInputElement>): void {
  useLayoutEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      const typing = target.closest('input, textarea, select, dialog, [contenteditable]') !== null;
      if (event.key !== '/' || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      input.current?.focus();
      input.current?.select();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [input]);
}
