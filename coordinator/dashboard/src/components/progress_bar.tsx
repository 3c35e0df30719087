// How much of a job is done, and how much of that failed.
import { formatCount, percentOf } from '../format';

interface ProgressBarProps {
  completed: number;
  failed: number;
  total: number;
  label: string;
  active: boolean;
  size?: 'small' | 'large';
}

export function ProgressBar({ completed, failed, total, label, active, size = 'small' }: ProgressBarProps) {
  const share = (count: number) => ({ width: `${total > 0 ? (count / total) * 100 : 0}%` });
  const percent = percentOf(completed + failed, total);
  const failures = failed > 0 ? `, ${formatCount(failed)} failed` : '';
  return (
    <div
      class={`progress progress-${size} ${active ? 'progress-active' : ''}`} role="progressbar" aria-label={label}
      aria-valuemin={0} aria-valuemax={100} aria-valuenow={percent}
      aria-valuetext={`${percent} %: ${formatCount(completed + failed)} of ${formatCount(total)}${failures}`}
    >
      <div class="progress-done" style={share(completed)} />
      <div class="progress-failed" style={share(failed)} />
    </div>
  );
}
