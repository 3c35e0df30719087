// One job: how it goes on, what it is, what went wrong, and its requests beside their answers.
import { useEffect, useRef } from 'preact/hooks';
import type { Job } from '../api/types';
import { ConfirmButton } from '../components/confirm_button';
import { Link } from '../components/link';
import { Notice } from '../components/notice';
import { PageHead } from '../components/page_head';
import { StateBadge } from '../components/state_badge';
import { fileAddress } from '../api/client';
import { useServices } from '../state/context';
import { addChangedJob, addLoadedJobs, isFinal } from '../state/fleet';
import { useLoaded } from '../state/hooks';
import { useStore } from '../state/store';
import { JOB_STATE, jobTitle } from '../words';
import { JobDetails } from './job_details';
import { JobErrors } from './job_errors';
import { JobProgressPanel } from './job_progress';
import { RequestBrowser } from './request_browser';

export function JobPage({ id }: { id: string }) {
  const { api, fleet } = useServices();
  const { jobs, snapshots, viewers } = useStore(fleet);

  // Older jobs are not in the snapshot, and a new snapshot may have dropped this one: the page shows what it knew, and
  // keeps what is open in it, until the job is there again.
  const missing = !jobs.has(id) && snapshots > 0;
  const loaded = useLoaded(async () => {
    if (!missing) return;
    const asked = fleet.get();
    const reply = await api.job(id);
    fleet.set(addLoadedJobs(fleet.get(), asked, [reply]));
  }, [id, missing, snapshots]);
  const known = useRef<{ job: Job | undefined; viewers: number }>({ job: undefined, viewers });
  const job = jobs.get(id) ?? (known.current.viewers === viewers ? known.current.job : undefined);
  known.current = { job, viewers };

  const back = <p class="crumbs"><Link to="/">Jobs</Link> <span aria-hidden="true">/</span> <span class="mono">{id}</span></p>;
  if (job === undefined) {
    return (
      <>
        <PageHead title="Job" above={back} />
        {loaded.error === null ? <p class="muted" aria-busy="true">Loading…</p> : <Notice message={loaded.error} onRetry={loaded.reload} />}
      </>
    );
  }

  const { text, tone } = JOB_STATE[job.status];
  const cancel = async () => {
    const asked = fleet.get();
    const cancelled = await api.cancelJob(id);
    fleet.set(addChangedJob(fleet.get(), asked, cancelled));
  };
  const canCancel = !isFinal(job.status) && job.status !== 'cancelling';
  return (
    <>
      <PageHead
        title={jobTitle(job)} above={back} beside={<StateBadge text={text} tone={tone} />}
        actions={
          <>
            <Downloads job={job} />
            {canCancel && (
              <ConfirmButton
                label="Cancel job" question="Cancel this job?" confirm="Cancel the job" keep="Keep it running"
                detail="Requests that are done keep their answers, and those can be downloaded. The others will not run."
                act={cancel}
              />
            )}
          </>
        }
      />
      {missing && loaded.error !== null && <Notice message={loaded.error} onRetry={loaded.reload} />}
      <JobAnnouncements job={job} />
      <JobErrors job={job} />
      <JobProgressPanel job={job} />
      <JobDetails job={job} />
      {(job.request_counts?.total ?? 0) > 0 && <RequestBrowser job={job} />}
    </>
  );
}

function Downloads({ job }: { job: Job }) {
  return (
    <>
      {job.output_file_id && (
        <a class="button button-primary" href={fileAddress(job.output_file_id)} download={`${job.id}_output.jsonl`}>
          Download answers
        </a>
      )}
      {job.error_file_id && (
        <a class="button" href={fileAddress(job.error_file_id)} download={`${job.id}_errors.jsonl`}>Download errors</a>
      )}
    </>
  );
}

// Says the state's changes to screen readers, and nothing of the numbers in between.
function JobAnnouncements({ job }: { job: Job }) {
  const { announcement } = useServices();
  useEffect(() => {
    announcement.set(`${jobTitle(job)}: ${JOB_STATE[job.status].text}`);
    return () => announcement.set('');
  }, [job.status]);
  return null;
}
