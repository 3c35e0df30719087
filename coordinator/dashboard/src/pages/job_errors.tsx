// Why a job's file was refused, line by line.
import type { Job } from '../api/types';
import { countOf, formatCount } from '../format';

export function JobErrors({ job }: { job: Job }) {
  const errors = job.errors?.data ?? [];
  if (errors.length === 0) return null;
  return (
    <section class="panel panel-bad" aria-label="Errors">
      <h2>{countOf(errors.length, 'thing')} to mend in the file</h2>
      <p class="muted">No request has run. Correct these lines and submit the file again.</p>
      <table class="table cards">
        <thead>
          <tr>
            <th scope="col" class="number">Line</th>
            <th scope="col">What is wrong</th>
            <th scope="col">Field</th>
            <th scope="col">Code</th>
          </tr>
        </thead>
        <tbody>
          {errors.map((error, index) => (
            <tr key={index}>
              <td data-label="Line" class="number">{error.line ? formatCount(error.line) : 'whole file'}</td>
              <td data-label="What is wrong" class="wrap">{error.message}</td>
              <td data-label="Field">{error.param ? <code>{error.param}</code> : '–'}</td>
              <td data-label="Code">{error.code ? <code>{error.code}</code> : '–'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
