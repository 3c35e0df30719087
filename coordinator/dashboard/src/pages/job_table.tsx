// A table of jobs; on narrow screens each row is a card.
import { useRef } from 'preact/hooks';
import type { Job } from '../api/types';
import { Link } from '../components/link';
import { ProgressBar } from '../components/progress_bar';
import { StateBadge } from '../components/state_badge';
import { formatAgo, formatCount, formatDuration, formatRate, formatTime } from '../format';
import { jobPath } from '../router';
import { useKeptFocus, useNow } from '../state/hooks';
import { isFinal } from '../state/fleet';
import { JOB_STATE, jobTitle } from '../words';

export function JobTable({ jobs }: { jobs: Job[] }) {
  const now = useNow(5000);
  const table = useRef<HTMLTableElement>(null);
  useKeptFocus(table, 'tbody tr');
  return (
    <table class="table cards" ref={table}>
      <thead>
        <tr>
          <th scope="col">Job</th>
          <th scope="col">State</th>
          <th scope="col" class="wide-column">Progress</th>
          <th scope="col" class="number">Tokens/s</th>
          <th scope="col" class="number">Devices</th>
          <th scope="col" class="number">Time left</th>
          <th scope="col" class="number">Created</th>
        </tr>
      </thead>
      <tbody>
        {jobs.map((job) => <JobRow key={job.id} job={job} now={now} />)}
      </tbody>
    </table>
  );
}

function JobRow({ job, now }: { job: Job; now: number }) {
  const running = job.status === 'in_progress';
  const { text, tone } = JOB_STATE[job.status];
  const left = job.progress.seconds_left;
  return (
    <tr class="row-link">
      <th scope="row">
        <Link to={jobPath(job.id)} class="row-title">{jobTitle(job)}</Link>
        <span class="row-detail">{[job.model ?? job.endpoint, job.metadata?.['filename']].filter(Boolean).join(' · ')}</span>
      </th>
      <td data-label="State"><StateBadge text={text} tone={tone} /></td>
      <JobProgressCell job={job} />
      <NumberCell label="Tokens/s" value={running ? formatRate(job.progress.tokens_per_second) : null} />
      <NumberCell label="Devices" value={running ? formatCount(job.progress.devices) : null} />
      <NumberCell label="Time left" value={!isFinal(job.status) && left !== null ? formatDuration(left) : null} />
      <td data-label="Created" class="number">
        <time dateTime={new Date(job.created_at * 1000).toISOString()} title={formatTime(job.created_at)}>
          {formatAgo(job.created_at, now)}
        </time>
      </td>
    </tr>
  );
}

// A cell without a value is a dash in a table and left out of a card.
function NumberCell({ label, value }: { label: string; value: string | null }) {
  return <td data-label={label} class={`number ${value === null ? 'nothing' : ''}`}>{value ?? '–'}</td>;
}

function JobProgressCell({ job }: { job: Job }) {
  const counts = job.request_counts;
  if (!counts || counts.total === 0) return <td data-label="Progress" class="wide-column nothing">–</td>;
  return (
    <td data-label="Progress" class="wide-column">
      <ProgressBar
        completed={counts.completed} failed={counts.failed} total={counts.total} label={`Progress of ${jobTitle(job)}`}
        active={!isFinal(job.status)}
      />
      <span class="row-detail">
        {formatCount(counts.completed + counts.failed)} of {formatCount(counts.total)}
        {counts.failed > 0 && <span class="text-bad"> · {formatCount(counts.failed)} failed</span>}
      </span>
    </td>
  );
}
