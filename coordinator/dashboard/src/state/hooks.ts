// Small hooks that pages share.
import type { RefObject } from 'preact';
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { messageOf } from '../api/client';
import { ReplyOrder } from './reply_order';

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

// Loads once, and again when `dependencies` change or `reload` is called. A reply that a later one has overtaken is
// dropped, and so is one to dependencies of before; the value before stays until the next one is there.
export function useLoaded<T>(load: () => Promise<T>, dependencies: readonly unknown[]): Loaded<T> {
  const [value, setValue] = useState<T | null>(null);
  const [error, setError] = useState<string | null>(null);
  const order = useRef(new ReplyOrder()).current;
  const latest = useRef(load);
  latest.current = load;
  const reload = useCallback(() => {
    const turn = order.ask();
    latest.current().then(
      (loaded) => {
        if (!order.take(turn)) return;
        setValue(() => loaded);
        setError(null);
      },
      (problem: unknown) => {
        if (order.take(turn)) setError(messageOf(problem));
      },
    );
  }, [order]);
  useEffect(() => {
    reload();
    return () => order.drop();
  }, dependencies);
  return { value, error, reload };
}

// Keeps the keyboard's place in a list that changes by itself: a row that moves keeps the focus, and when a row goes,
// the one that takes its place gets it. Without rows it goes to the page's main part.
export function useKeptFocus(list: RefObject<HTMLElement>, rowSelector: string): void {
  const place = useRef<{ element: HTMLElement; row: number; column: number } | null>(null);

  useLayoutEffect(() => {
    const onFocus = (event: FocusEvent) => {
      place.current = list.current?.contains(event.target as Node) ? placeOf(event.target as HTMLElement) : null;
    };
    const placeOf = (element: HTMLElement) => {
      const row = element.closest<HTMLElement>(rowSelector);
      return row === null ? null : { element, row: rowsOf(list).indexOf(row), column: stopsOf(row).indexOf(element) };
    };
    const onPointer = (event: Event) => { // a press beside it takes the focus away on purpose
      if (!place.current?.element.contains(event.target as Node)) place.current = null;
    };
    document.addEventListener('focusin', onFocus);
    document.addEventListener('pointerdown', onPointer, true);
    return () => {
      document.removeEventListener('focusin', onFocus);
      document.removeEventListener('pointerdown', onPointer, true);
      if (place.current === null) return;
      queueMicrotask(() => {
        if (isFocusLost()) document.getElementById('main')?.focus({ preventScroll: true });
      });
    };
  }, []);

  // After every change, before it is painted.
  useLayoutEffect(() => {
    const at = place.current;
    if (at === null) return;
    const rows = rowsOf(list);
    if (!isFocusLost()) {
      at.row = rows.findIndex((row) => row.contains(at.element));
    } else if (at.element.isConnected) {
      at.element.focus({ preventScroll: true });
    } else {
      const stops = stopsOf(rows[Math.min(at.row, rows.length - 1)]);
      (stops[at.column] ?? stops[0])?.focus({ preventScroll: true });
    }
  });

  function rowsOf(root: RefObject<HTMLElement>): HTMLElement[] {
    return [...(root.current?.querySelectorAll<HTMLElement>(rowSelector) ?? [])];
  }
}

function stopsOf(row: HTMLElement | undefined): HTMLElement[] {
  return [...(row?.querySelectorAll<HTMLElement>('a, button, [tabindex]') ?? [])];
}

function isFocusLost(): boolean {
  return document.activeElement === null || document.activeElement === document.body;
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
