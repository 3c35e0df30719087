// A job's progress in one bar and a few numbers.
import type { Job } from '../api/types';
import { Figure, Figures } from '../components/figure';
import { ProgressBar } from '../components/progress_bar';
import { formatCount, formatDuration, formatRate, percentOf } from '../format';
import { isFinal } from '../state/fleet';
import { useNow } from '../state/hooks';
import { asksForVectors, jobTitle } from '../words';

export function JobProgressPanel({ job }: { job: Job }) {
  const now = useNow();
  const { total, completed, failed } = job.request_counts ?? { total: 0, completed: 0, failed: 0 };
  if (total === 0) {
    return job.status === 'validating' ? <p class="panel muted">The file is being checked, line by line…</p> : null;
  }

  const final = isFinal(job.status);
  const took = (endOf(job) ?? now) - (job.in_progress_at ?? job.created_at);
  const settled = completed + failed;
  return (
    <section class="panel" aria-label="Progress">
      <div class="progress-head">
        <p class="progress-percent">{percentOf(settled, total)} %</p>
        <p class="muted">{formatCount(settled)} of {formatCount(total)} requests</p>
      </div>
      <ProgressBar
        completed={completed} failed={failed} total={total} label={`Progress of ${jobTitle(job)}`} active={!final}
        size="large"
      />
      <Figures>
        <Figure name="Done" value={formatCount(completed)} />
        <Figure name="Failed" value={formatCount(failed)} {...(failed > 0 ? { tone: 'bad' as const } : {})} />
        {!final && <Figure name="Speed" value={formatRate(job.progress.tokens_per_second)} unit="tokens/s" />}
        {!final && <Figure name="Devices" value={formatCount(job.progress.devices)} />}
        {asksForVectors(job)
          ? <Figure name="Tokens read" value={formatCount(job.usage?.input_tokens ?? 0)} />
          : <Figure name="Tokens generated" value={formatCount(job.progress.generated_tokens)} />}
        <Figure name={final ? 'Took' : 'Running for'} value={formatDuration(took)} />
        {!final && (
          <Figure
            name="Time left"
            value={job.progress.seconds_left === null ? 'unknown' : formatDuration(job.progress.seconds_left)}
          />
        )}
      </Figures>
      {job.status === 'in_progress' && job.progress.devices === 0 && (
        <p class="hint">No device works on this job now. It goes on as soon as one is free.</p>
      )}
    </section>
  );
}

function endOf(job: Job): number | null {
  return job.completed_at ?? job.failed_at ?? job.expired_at ?? job.cancelled_at ?? null;
}
