// What a job is: its model, its times, its metadata.
import type { ComponentChildren } from 'preact';
import { fileAddress } from '../api/client';
import type { Job } from '../api/types';
import { formatTime } from '../format';

export function JobDetails({ job }: { job: Job }) {
  const ended = job.completed_at ?? job.failed_at ?? job.expired_at ?? job.cancelled_at;
  return (
    <details class="panel details">
      <summary>Details</summary>
      <dl class="pairs">
        <Pair name="Job">{<code>{job.id}</code>}</Pair>
        {job.model && <Pair name="Model">{job.model}</Pair>}
        <Pair name="Endpoint"><code>{job.endpoint}</code></Pair>
        <Pair name="Input">
          <a href={fileAddress(job.input_file_id)} download={`${job.id}_input.jsonl`}>{job.input_file_id}</a>
        </Pair>
        <Pair name="Created">{formatTime(job.created_at)}</Pair>
        {job.in_progress_at && <Pair name="Started">{formatTime(job.in_progress_at)}</Pair>}
        {ended && <Pair name="Ended">{formatTime(ended)}</Pair>}
        {job.expires_at && !ended && <Pair name="To be done by">{formatTime(job.expires_at)}</Pair>}
        {Object.entries(job.metadata ?? {}).map(([key, value]) => <Pair key={key} name={key}>{value}</Pair>)}
      </dl>
    </details>
  );
}

function Pair({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
