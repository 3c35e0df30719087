// The jobs, newest first, as they go on.
import { useState } from 'preact/hooks';
import { messageOf, type ApiClient } from '../api/client';
import type { Device, Job } from '../api/types';
import { Figure, Figures } from '../components/figure';
import { FilterBar, matchesText, NO_FILTER } from '../components/filter_bar';
import { Notice } from '../components/notice';
import { PageHead } from '../components/page_head';
import { formatCount, formatRate } from '../format';
import { useMe, useServices } from '../state/context';
import { addOlderJobs, isFinal, listedJobs, SNAPSHOT_JOBS, type Fleet } from '../state/fleet';
import { useStore, type Store } from '../state/store';
import { JOB_STATE, jobTitle } from '../words';
import { FirstSteps } from './first_steps';
import { JobTable } from './job_table';

const STATES = Object.entries(JOB_STATE).map(([value, { text }]) => ({ value, text }));

export function JobsPage() {
  const { fleet } = useServices();
  const me = useMe();
  const [filter, setFilter] = useState(NO_FILTER);
  const known = useStore(fleet);
  const { devices, snapshots } = known;

  const all = listedJobs(known);
  const shown = all.filter(
    (job) =>
      (filter.state === '' || job.status === filter.state) &&
      matchesText(filter, [job.id, job.model, jobTitle(job), ...Object.values(job.metadata ?? {})]),
  );
  return (
    <>
      <PageHead title="Jobs" />
      {snapshots === 0 && <p class="muted" aria-busy="true">Loading…</p>}
      {snapshots > 0 && all.length === 0 && <FirstSteps />}
      {all.length > 0 && (
        <>
          <FleetFigures jobs={all} devices={me.role === 'operator' ? [...devices.values()] : null} />
          <FilterBar filter={filter} onChange={setFilter} label="Filter jobs" states={STATES} />
          {shown.length === 0
            ? <p class="muted">No job shown here fits the filter. <button type="button" class="text-button" onClick={() => setFilter(NO_FILTER)}>Clear the filter</button></p>
            : <JobTable jobs={shown} />}
          <OlderJobs />
        </>
      )}
    </>
  );
}

function FleetFigures({ jobs, devices }: { jobs: Job[]; devices: Device[] | null }) {
  const running = jobs.filter((job) => !isFinal(job.status));
  const rate = running.reduce((sum, job) => sum + job.progress.tokens_per_second, 0);
  const waiting = running.reduce((sum, job) => {
    const counts = job.request_counts;
    return sum + (counts ? counts.total - counts.completed - counts.failed : 0);
  }, 0);
  const working = devices?.filter((device) => device.state === 'working').length ?? 0;
  const online = devices?.filter((device) => device.state !== 'offline').length ?? 0;
  return (
    <Figures>
      <Figure name="Unfinished jobs" value={formatCount(running.length)} />
      <Figure name="Requests left" value={formatCount(waiting)} />
      <Figure name="Speed" value={formatRate(rate)} unit="tokens/s" />
      {devices && <Figure name="Devices working" value={formatCount(working)} unit={`of ${formatCount(online)} online`} />}
    </Figures>
  );
}

function OlderJobs() {
  const { api, fleet } = useServices();
  const { last, more } = useStore(fleet).listed;
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  if (last === null || !more) return null;

  const load = async () => {
    if (busy) return;
    setBusy(true);
    setError(null);
    try {
      await loadOlder(api, fleet);
    } catch (problem) {
      setError(messageOf(problem));
    }
    setBusy(false);
  };
  return (
    <div class="more">
      {error !== null && <Notice message={error} />}
      <button type="button" class="button" aria-disabled={busy} onClick={() => void load()}>
        {busy ? 'Loading…' : 'Show older jobs'}
      </button>
    </div>
  );
}

// Asks again when a snapshot has come in between: the list may end elsewhere since.
async function loadOlder(api: ApiClient, fleet: Store<Fleet>): Promise<void> {
  for (;;) {
    const asked = fleet.get();
    if (asked.listed.last === null || !asked.listed.more) return;
    const page = await api.jobs(SNAPSHOT_JOBS, asked.listed.last.id);
    fleet.set(addOlderJobs(fleet.get(), asked, page));
    const { viewers, snapshots } = fleet.get();
    if (viewers !== asked.viewers || snapshots === asked.snapshots) return;
  }
}
