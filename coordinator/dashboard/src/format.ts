// Numbers, times and sizes in words that fit a table cell.

const integerFormat = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

export function formatCount(value: number): string {
  return integerFormat.format(value);
}

// "1 request", "2,000 requests".
export function countOf(value: number, singular: string, plural = `${singular}s`): string {
  return `${formatCount(value)} ${value === 1 ? singular : plural}`;
}

// "0", "8.4", "312", "1,204".
export function formatRate(perSecond: number): string {
  if (perSecond > 0 && perSecond < 10) return perSecond.toFixed(1);
  return formatCount(perSecond);
}

// "45 s", "3 min 20 s", "2 h 05 min", "4 d 6 h". Precise enough to plan by, no more.
export function formatDuration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 600) return s % 60 === 0 ? `${s / 60} min` : `${Math.floor(s / 60)} min ${s % 60} s`;
  const min = Math.round(s / 60);
  if (min < 60) return `${min} min`;
  if (min < 48 * 60) return `${Math.floor(min / 60)} h ${String(min % 60).padStart(2, '0')} min`;
  return `${Math.floor(min / 1440)} d ${Math.floor((min % 1440) / 60)} h`;
}

// "0.4 ms", "31 ms", "2.5 s".
export function formatMilliseconds(ms: number): string {
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${formatCount(ms)} ms`;
  return ms < 9950 ? `${(ms / 1000).toFixed(1)} s` : formatDuration(ms / 1000);
}

// "just now", "40 s ago", "3 min ago", "5 h ago", "2 d ago".
export function formatAgo(then: number, now: number): string {
  const s = Math.max(0, now - then);
  if (s < 5) return 'just now';
  if (s < 60) return `${Math.floor(s / 5) * 5} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 48 * 3600) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86400)} d ago`;
}

const dateTimeFormat = new Intl.DateTimeFormat('en-GB', {
  year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit',
});

// "4 Mar 2026, 14:05:09", in the person's own time zone.
export function formatTime(unixSeconds: number): string {
  return dateTimeFormat.format(new Date(unixSeconds * 1000));
}

const BYTE_UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'];

// "512 bytes", "2.7 MB", "24 GB": decimal units, two digits where they tell something.
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit > 0 && value < 9.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${BYTE_UNITS[unit]}`;
}

// "2.5 M", "494 M", "7.2 B": a model's size as people say it.
export function formatParameters(count: number): string {
  const said = (value: number) => value.toFixed(value < 99.95 ? 1 : 0);
  if (count >= 999.5e6) return `${said(count / 1e9)} B`;
  if (count >= 1e6) return `${said(count / 1e6)} M`;
  return formatCount(count);
}

// Whole percent, and 100 only when everything is done.
export function percentOf(part: number, whole: number): number {
  if (whole <= 0) return 0;
  return part >= whole ? 100 : Math.min(99, Math.floor((part / whole) * 100));
}
