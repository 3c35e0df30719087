// A job's requests, a page at a time, each input beside its answer. While the job runs the page follows it.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Job, Request } from '../api/types';
import { FilterBar, matchesText, NO_FILTER, type Filter } from '../components/filter_bar';
import { Notice } from '../components/notice';
import { countOf, formatCount } from '../format';
import { useServices } from '../state/context';
import { useLoaded } from '../state/hooks';
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
  const requests = useLoaded(() => api.requests(job.id, first, PAGE_SIZE), [job.id, first]);
  useRefresh(job, requests.value?.data, requests.reload);

  const show = (index: number) => {
    setFirst(index);
    setOpen(null);
    router.setQueryNumber('first', index);
  };
  const page = requests.value?.data ?? [];
  const shown = page.filter((request) => fits(request, filter));
  return (
    <section class="requests" aria-labelledby="requests-heading">
      <h2 id="requests-heading">Requests</h2>
      <FilterBar filter={filter} onChange={setFilter} label="Filter this page" states={STATES} />
      {requests.error !== null && <Notice message={requests.error} onRetry={requests.reload} />}
      {requests.value === null && requests.error === null && <p class="muted" aria-busy="true">Loading…</p>}
      {page.length > 0 && shown.length === 0 && (
        <p class="muted">
          None of the {countOf(page.length, 'request')} on this page fits the filter.{' '}
          <button type="button" class="text-button" onClick={() => setFilter(NO_FILTER)}>Clear the filter</button>
        </p>
      )}
      {shown.length > 0 && (
        <RequestList requests={shown} open={open} onToggle={(index) => setOpen(open === index ? null : index)} />
      )}
      <Pager first={first} total={total} onShow={show} />
    </section>
  );
}

function fits(request: Request, filter: Filter): boolean {
  if (filter.state !== '' && request.state !== filter.state) return false;
  return matchesText(filter, [request.custom_id, questionOf(request), answerOf(request), request.error?.message]);
}

// Loads again after the job has moved on, unless every request shown is settled already.
function useRefresh(job: Job, shown: Request[] | undefined, reload: () => void): void {
  const settled = (job.request_counts?.completed ?? 0) + (job.request_counts?.failed ?? 0);
  const stale = shown?.some((request) => request.state === 'pending' || request.state === 'leased') ?? false;
  const lastLoad = useRef(0);
  useEffect(() => {
    if (!stale) return;
    const wait = Math.max(0, lastLoad.current + REFRESH_INTERVAL_MS - Date.now());
    const timer = setTimeout(() => {
      lastLoad.current = Date.now();
      reload();
    }, wait);
    return () => clearTimeout(timer);
  }, [settled, job.status, job.progress.devices, stale]);
}

// Up and Down go from row to row, Enter opens one, Esc closes it.
function RequestList(props: { requests: Request[]; open: number | null; onToggle: (index: number) => void }) {
  const list = useRef<HTMLOListElement>(null);
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

function Pager({ first, total, onShow }: { first: number; total: number; onShow: (first: number) => void }) {
  if (total <= PAGE_SIZE && first === 0) return null;
  const last = Math.min(total, first + PAGE_SIZE);
  return (
    <nav class="pager" aria-label="Pages of requests">
      <button type="button" class="button" disabled={first === 0} onClick={() => onShow(Math.max(0, first - PAGE_SIZE))}>
        Previous
      </button>
      <span class="muted">{formatCount(Math.min(first + 1, total))} – {formatCount(last)} of {formatCount(total)}</span>
      <button type="button" class="button" disabled={last >= total} onClick={() => onShow(first + PAGE_SIZE)}>Next</button>
    </nav>
  );
}
