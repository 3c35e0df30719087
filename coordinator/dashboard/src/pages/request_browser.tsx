// A job's requests, a page at a time, each input beside its answer. While the job runs the page follows it.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Job, Request } from '../api/types';
import { FilterBar, matchesText, NO_FILTER, type Filter } from '../components/filter_bar';
import { Notice } from '../components/notice';
import { countOf, formatCount } from '../format';
import { useServices } from '../state/context';
import { useKeptFocus, useLoaded } from '../state/hooks';
import { useStore } from '../state/store';
import { answerOf, questionOf, REQUEST_STATE } from '../words';
import { RequestRow } from './request_row';

const PAGE_SIZE = 50;
const REFRESH_INTERVAL_MS = 2000; // at most this often while the job runs
const STATES = Object.entries(REQUEST_STATE).map(([value, { text }]) => ({ value, text }));

export function RequestBrowser({ job }: { job: Job }) {
  const { api, router } = useServices();
  const [first, setFirst] = useState(() => router.queryNumber('first', 0));
  const [open, setOpen] = useState<number | null>(null);
  const [filter, setFilter] = useState(NO_FILTER);

  const total = job.request_counts?.total ?? 0;
  const requests = useLoaded(
    async () => ({ first, rows: (await api.requests(job.id, first, PAGE_SIZE)).data }), [job.id, first],
  );
  useRefresh(job, requests.value?.rows, requests.reload);

  useLayoutEffect(() => router.setQueryNumber('first', first), [first]);
  const turn = (pages: number) => {
    setFirst((before) => {
      const next = Math.max(0, before + pages * PAGE_SIZE);
      return next < total ? next : before;
    });
    setOpen(null);
  };
  const page = requests.value?.rows ?? [];
  // What is open stays for who reads it, even when it comes to a state that does not fit.
  const shown = page.filter((request) => request.index === open || fits(request, filter));
  const narrow = (to: Filter) => {
    setFilter(to);
    if (!page.some((request) => request.index === open && fits(request, to))) setOpen(null);
  };
  return (
    <section class="requests" aria-labelledby="requests-heading">
      <h2 id="requests-heading">Requests</h2>
      <FilterBar filter={filter} onChange={narrow} label="Filter this page" states={STATES} />
      {requests.error !== null && <Notice message={requests.error} onRetry={requests.reload} />}
      {requests.value === null && requests.error === null && <p class="muted" aria-busy="true">Loading…</p>}
      {page.length > 0 && shown.length === 0 && (
        <p class="muted">
          None of the {countOf(page.length, 'request')} on this page fits the filter.{' '}
          <button type="button" class="text-button" onClick={() => narrow(NO_FILTER)}>Clear the filter</button>
        </p>
      )}
      {shown.length > 0 && (
        <RequestList requests={shown} open={open} onToggle={(index) => setOpen((was) => (was === index ? null : index))} />
      )}
      <Pager shown={requests.value?.first ?? first} wanted={first} total={total} onTurn={turn} />
    </section>
  );
}

function fits(request: Request, filter: Filter): boolean {
  if (filter.state !== '' && request.state !== filter.state) return false;
  return matchesText(filter, [request.custom_id, questionOf(request), answerOf(request), request.error?.message]);
}

// Loads again after the job has moved on or the feed has been away, unless every request shown is settled already.
function useRefresh(job: Job, shown: Request[] | undefined, reload: () => void): void {
  const settled = (job.request_counts?.completed ?? 0) + (job.request_counts?.failed ?? 0);
  const stale = shown?.some((request) => request.state === 'pending' || request.state === 'leased') ?? false;
  const { snapshots } = useStore(useServices().fleet);
  const lastLoad = useRef(0);
  useEffect(() => {
    if (!stale) return;
    const wait = Math.max(0, lastLoad.current + REFRESH_INTERVAL_MS - Date.now());
    const timer = setTimeout(() => {
      lastLoad.current = Date.now();
      reload();
    }, wait);
    return () => clearTimeout(timer);
  }, [settled, job.status, job.progress.devices, stale, snapshots]);
}

// Up and Down go from row to row, Enter opens one, Esc closes it.
function RequestList(props: { requests: Request[]; open: number | null; onToggle: (index: number) => void }) {
  const list = useRef<HTMLOListElement>(null);
  useKeptFocus(list, '.request');
  const onKey = (event: KeyboardEvent) => {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    const row = (event.target as HTMLElement).closest('.request')?.querySelector<HTMLButtonElement>('.request-row');
    if (!row) return;
    if (event.key === 'Escape' && props.open !== null) {
      props.onToggle(props.open);
      row.focus();
    }
    if (step === 0 || event.target !== row) return;
    const rows = [...(list.current?.querySelectorAll<HTMLButtonElement>('.request-row') ?? [])];
    event.preventDefault();
    rows[rows.indexOf(row) + step]?.focus();
  };
  return (
    <>
      <div class="request-head" aria-hidden="true">
        <span>#</span><span>Request</span><span>Answer</span><span>State</span>
      </div>
      <ol class="request-list" ref={list} onKeyDown={onKey}>
        {props.requests.map((request) => (
          <RequestRow
            key={request.index} request={request} open={props.open === request.index}
            onToggle={() => props.onToggle(request.index)}
          />
        ))}
      </ol>
    </>
  );
}

// Says which requests are shown; its buttons count from the page that is wanted, which may still be on its way.
function Pager(props: { shown: number; wanted: number; total: number; onTurn: (pages: number) => void }) {
  const { shown, wanted, total } = props;
  if (total <= PAGE_SIZE && wanted === 0) return null;
  const last = Math.min(total, shown + PAGE_SIZE);
  return (
    <nav class="pager" aria-label="Pages of requests">
      <button type="button" class="button" aria-disabled={wanted === 0} onClick={() => props.onTurn(-1)}>
        Previous
      </button>
      <span class="muted">{formatCount(Math.min(shown + 1, total))} – {formatCount(last)} of {formatCount(total)}</span>
      <button type="button" class="button" aria-disabled={wanted + PAGE_SIZE >= total} onClick={() => props.onTurn(1)}>
        Next
      </button>
    </nav>
  );
}
