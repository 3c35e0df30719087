// The fleet as the page knows it: jobs and devices, fed by snapshots, events and loaded pages.
import type { FeedState } from '../api/event_feed';
import type { StreamEvent } from '../api/event_parser';
import type { Device, Job, JobState, Page } from '../api/types';

export interface Fleet {
  jobs: ReadonlyMap<string, Job>;
  devices: ReadonlyMap<string, Device>;
  feed: FeedState;
  snapshots: number; // how many have come; 0: nothing is known yet
  listed: Listed;
  viewers: number; // how many people it was shown to before, one after another
}

// How far back the list of jobs is complete. Older jobs may be known too, but not all of them.
export interface Listed {
  last: Job | null;
  more: boolean; // whether there may be jobs before `last`
}

export const EMPTY_FLEET: Fleet = {
  jobs: new Map(), devices: new Map(), feed: 'connecting', snapshots: 0, listed: { last: null, more: false },
  viewers: 0,
};

// What is left when the person it was shown to has gone: replies to what they asked for count no more.
export function forgotten(fleet: Fleet): Fleet {
  return { ...EMPTY_FLEET, viewers: fleet.viewers + 1 };
}

// What a snapshot holds when there are more jobs than it shows.
export const SNAPSHOT_JOBS = 20;

// How many jobs the page remembers. Beyond it the older half is forgotten, but for what is unfinished, and can be loaded
// again: a page that is left open for weeks does not grow.
export const MAX_JOBS = 2000;

const FINAL_STATES: ReadonlySet<JobState> = new Set(['failed', 'completed', 'expired', 'cancelled']);

export function isFinal(state: JobState): boolean {
  return FINAL_STATES.has(state);
}

// What an event of the feed makes of the fleet. An event of a type unknown here changes nothing: a newer coordinator
// may send more.
export function applyEvent(fleet: Fleet, event: StreamEvent): Fleet {
  switch (event.type) {
    case 'snapshot':
      return applySnapshot(fleet, JSON.parse(event.data) as { jobs: Job[]; devices?: Device[] });
    case 'job': {
      const job = JSON.parse(event.data) as Job;
      return bounded({ ...fleet, jobs: new Map(fleet.jobs).set(job.id, job) });
    }
    case 'device': {
      const device = JSON.parse(event.data) as Device;
      return { ...fleet, devices: new Map(fleet.devices).set(device.id, device) };
    }
    case 'device_removed': {
      const devices = new Map(fleet.devices);
      devices.delete((JSON.parse(event.data) as { id: string }).id);
      return { ...fleet, devices };
    }
    default:
      return fleet;
  }
}

// A snapshot holds the newest jobs only. Older ones are kept if they can no longer change; the others may have
// changed while the connection was down and are dropped, to be loaded again by whoever shows them.
function applySnapshot(fleet: Fleet, snapshot: { jobs: Job[]; devices?: Device[] }): Fleet {
  const jobs = new Map<string, Job>();
  for (const job of fleet.jobs.values()) if (isFinal(job.status)) jobs.set(job.id, job);
  for (const job of snapshot.jobs) jobs.set(job.id, job);
  const devices = new Map((snapshot.devices ?? []).map((device) => [device.id, device]));
  const listed = listedAfter(fleet, snapshot.jobs);
  return bounded({ ...fleet, jobs, devices, listed, snapshots: fleet.snapshots + 1 });
}

// The list goes no further back than what is remembered.
function bounded(fleet: Fleet): Fleet {
  if (fleet.jobs.size <= MAX_JOBS) return fleet;
  const newest = newestFirst(fleet.jobs.values());
  const last = newest[MAX_JOBS / 2 - 1]!;
  const jobs = newest.filter((job, place) => place < MAX_JOBS / 2 || !isFinal(job.status));
  const listed = last.created_at >= (fleet.listed.last?.created_at ?? 0) ? { last, more: true } : fleet.listed;
  return { ...fleet, jobs: new Map(jobs.map((job) => [job.id, job])), listed };
}

// The list goes as far back as before if the snapshot joins it and nothing before that can have changed: what a person
// reads far down stays. Otherwise it begins anew.
function listedAfter(fleet: Fleet, snapshot: Job[]): Listed {
  const last = newestFirst(snapshot).at(-1) ?? null;
  const more = snapshot.length >= SNAPSHOT_JOBS;
  const before = listedJobs(fleet);
  const joint = before.findIndex((job) => job.id === last?.id);
  return more && joint >= 0 && before.slice(joint + 1).every((job) => isFinal(job.status)) ? fleet.listed : { last, more };
}

// Adds jobs that were asked for when the fleet was `asked`. What the feed has brought meanwhile is newer than a reply
// and stays. After a new snapshot a reply counts for what can no longer change: of the rest it may be too old, and no
// event would mend it.
export function addLoadedJobs(fleet: Fleet, asked: Fleet, loaded: Job[]): Fleet {
  if (fleet.viewers !== asked.viewers) return fleet;
  const jobs = new Map(fleet.jobs);
  for (const job of loaded) {
    if (!jobs.has(job.id) && (fleet.snapshots === asked.snapshots || isFinal(job.status))) jobs.set(job.id, job);
  }
  return { ...fleet, jobs };
}

// Adds the page of jobs that comes after the last one that `asked` listed. After a new snapshot there may be a gap
// between that and the list: then the list stays.
export function addOlderJobs(fleet: Fleet, asked: Fleet, page: Page<Job>): Fleet {
  const added = addLoadedJobs(fleet, asked, page.data);
  if (fleet.viewers !== asked.viewers || fleet.snapshots !== asked.snapshots) return added;
  return { ...added, listed: { last: page.data.at(-1) ?? fleet.listed.last, more: page.has_more === true } };
}

// Adds what a call that was made when the fleet was `asked` has made of a job. The reply may come after events that tell
// of later states; then they stay.
export function addChangedJob(fleet: Fleet, asked: Fleet, job: Job): Fleet {
  if (fleet.viewers !== asked.viewers) return fleet;
  const known = fleet.jobs.get(job.id);
  if (known !== undefined && stepOf(known.status) >= stepOf(job.status)) return fleet;
  return { ...fleet, jobs: new Map(fleet.jobs).set(job.id, job) };
}

// States in the order in which a job comes to them.
function stepOf(state: JobState): number {
  if (isFinal(state)) return 3;
  return state === 'validating' ? 0 : state === 'in_progress' ? 1 : 2;
}

// The jobs that can be shown as a list without a gap, newest first.
export function listedJobs(fleet: Fleet): Job[] {
  const since = fleet.listed.last?.created_at ?? 0;
  return newestFirst([...fleet.jobs.values()].filter((job) => job.created_at >= since));
}

export function newestFirst(jobs: Iterable<Job>): Job[] {
  return [...jobs].sort((a, b) => b.created_at - a.created_at || (a.id < b.id ? 1 : -1));
}

// Working devices first, then those that could work, then the rest; by name within.
const DEVICE_ORDER = ['working', 'idle', 'in_use', 'paused', 'faulty', 'offline'];

export function busiestFirst(devices: Iterable<Device>): Device[] {
  return [...devices].sort(
    (a, b) =>
      DEVICE_ORDER.indexOf(a.state) - DEVICE_ORDER.indexOf(b.state) ||
      a.hostname.localeCompare(b.hostname) ||
      a.id.localeCompare(b.id),
  );
}
