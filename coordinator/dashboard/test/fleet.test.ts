import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Device, Job, JobState } from '../src/api/types';
import {
  addChangedJob, addLoadedJobs, addOlderJobs, applyEvent, busiestFirst, EMPTY_FLEET, forgotten, listedJobs, MAX_JOBS,
  newestFirst, type Fleet,
} from '../src/state/fleet';

function job(id: string, status: JobState, completed = 0, created_at = 0): Job {
  return {
    id, status, created_at, endpoint: '/v1/chat/completions', completion_window: '24h', input_file_id: 'file-1',
    request_counts: { total: 10, completed, failed: 0 },
    progress: { tokens_per_second: 0, generated_tokens: 0, devices: 0, seconds_left: null },
  };
}

function event(fleet: Fleet, type: string, data: unknown): Fleet {
  return applyEvent(fleet, { type, data: JSON.stringify(data) });
}

const completedOf = (fleet: Fleet, id: string) => fleet.jobs.get(id)?.request_counts?.completed;

test('a job event replaces what was known of the job', () => {
  let fleet = event(EMPTY_FLEET, 'snapshot', { jobs: [job('a', 'in_progress', 1)] });
  fleet = event(fleet, 'job', job('a', 'in_progress', 5));
  assert.equal(completedOf(fleet, 'a'), 5);
});

test('a snapshot keeps old jobs that cannot change and drops those that may have', () => {
  let fleet = addLoadedJobs(EMPTY_FLEET, EMPTY_FLEET, [job('ended', 'completed'), job('running', 'in_progress')]);
  fleet = event(fleet, 'snapshot', { jobs: [job('new', 'validating')], devices: [] });
  assert.deepEqual([...fleet.jobs.keys()].sort(), ['ended', 'new']);
  assert.equal(fleet.snapshots, 1);
});

test('a reply that was asked for never overwrites what the feed brought meanwhile', () => {
  let fleet = event(EMPTY_FLEET, 'job', job('a', 'in_progress', 9));
  fleet = addLoadedJobs(fleet, fleet, [job('a', 'in_progress', 2), job('b', 'completed', 10)]);
  assert.equal(completedOf(fleet, 'a'), 9);
  assert.equal(completedOf(fleet, 'b'), 10);
});

test('the list of jobs goes back page by page and has no gaps', () => {
  const newest = Array.from({ length: 20 }, (_, i) => job(`n${i}`, 'completed', 0, 1000 - i));
  let fleet = event(EMPTY_FLEET, 'snapshot', { jobs: newest });
  fleet = addLoadedJobs(fleet, fleet, [job('visited by its address', 'completed', 0, 5)]);
  assert.equal(listedJobs(fleet).length, 20);
  assert.deepEqual([fleet.listed.last?.id, fleet.listed.more], ['n19', true]);
  fleet = addOlderJobs(fleet, fleet, { data: [job('older', 'completed', 0, 900)], has_more: false });
  assert.deepEqual([listedJobs(fleet).length, listedJobs(fleet).at(-1)?.id, fleet.listed.more], [21, 'older', false]);
  fleet = event(fleet, 'job', job('just made', 'validating', 0, 2000));
  assert.equal(listedJobs(fleet)[0]?.id, 'just made');
});

test('a reply from before a snapshot counts only for what can no longer change', () => {
  const asked = event(EMPTY_FLEET, 'snapshot', { jobs: [] });
  const later = event(asked, 'snapshot', { jobs: [] });
  const fleet = addLoadedJobs(later, asked, [job('running', 'in_progress', 2), job('ended', 'completed', 10)]);
  assert.deepEqual([...fleet.jobs.keys()], ['ended']);
});

test('a page of older jobs from before a snapshot makes no gap in the list', () => {
  const page = (first: number) => Array.from({ length: 20 }, (_, i) => job(`j${first - i}`, 'completed', 0, first - i));
  const asked = event(EMPTY_FLEET, 'snapshot', { jobs: page(100) });
  const later = event(asked, 'snapshot', { jobs: page(200) });
  const fleet = addOlderJobs(later, asked, { data: page(80), has_more: true });
  assert.equal(fleet.listed.last?.id, 'j181');
  assert.deepEqual(listedJobs(fleet).map((j) => j.id), page(200).map((j) => j.id));
});

test('a snapshot that joins the list leaves its older part, unless that may have changed', () => {
  const page = (first: number) => Array.from({ length: 20 }, (_, i) => job(`j${first - i}`, 'completed', 0, first - i));
  let fleet = event(EMPTY_FLEET, 'snapshot', { jobs: page(100) });
  fleet = addOlderJobs(fleet, fleet, { data: page(80), has_more: true });
  assert.equal(listedJobs(event(fleet, 'snapshot', { jobs: page(105) })).length, 45);
  assert.equal(listedJobs(event(fleet, 'snapshot', { jobs: page(150) })).length, 20);
  const running = event(fleet, 'job', job('j70', 'in_progress', 1, 70));
  assert.equal(listedJobs(event(running, 'snapshot', { jobs: page(105) })).length, 20);
});

test('a reply that comes after later events does not take a job back', () => {
  const fleet = event(EMPTY_FLEET, 'job', job('a', 'cancelled', 9));
  assert.equal(addChangedJob(fleet, fleet, job('a', 'cancelling', 7)), fleet);
  const running = event(EMPTY_FLEET, 'job', job('a', 'in_progress', 5));
  assert.equal(addChangedJob(running, running, job('a', 'cancelling', 5)).jobs.get('a')?.status, 'cancelling');
});

test('a reply to what one person asked for is not shown to the next', () => {
  const asked = event(EMPTY_FLEET, 'snapshot', { jobs: [] });
  const next = event(forgotten(asked), 'snapshot', { jobs: [job('own', 'completed', 10, 5)] });
  const others = [job('ended', 'completed', 10, 9), job('running', 'in_progress', 2, 9)];
  for (const fleet of [forgotten(asked), next]) {
    assert.equal(addLoadedJobs(fleet, asked, others), fleet);
    assert.equal(addOlderJobs(fleet, asked, { data: others, has_more: false }), fleet);
    assert.equal(addChangedJob(fleet, asked, job('running', 'cancelling', 2, 9)), fleet);
  }
  assert.deepEqual(listedJobs(next).map((j) => j.id), ['own']);
});

test('of very many jobs the newest are remembered, and what is unfinished', () => {
  let fleet = event(EMPTY_FLEET, 'snapshot', { jobs: [job('running', 'in_progress', 1, 1)] });
  for (let i = 2; i <= MAX_JOBS * 2 + 10; i += 1) {
    fleet = event(fleet, 'job', job(`j${i}`, 'completed', 10, i));
    assert.ok(fleet.jobs.size <= MAX_JOBS);
  }
  assert.ok(fleet.jobs.has('running'));
  const listed = listedJobs(fleet);
  assert.ok(listed.length >= MAX_JOBS / 2);
  assert.equal(fleet.listed.more, true);
  // Without a gap, so that older jobs are asked for from there.
  assert.equal(listed[0]!.created_at - listed.at(-1)!.created_at, listed.length - 1);
  assert.equal(fleet.listed.last?.id, listed.at(-1)!.id);
  // Visited again: it is not forgotten at the next event.
  fleet = addLoadedJobs(fleet, fleet, [job('j2', 'completed', 10, 2)]);
  fleet = event(fleet, 'job', job('next', 'validating', 0, MAX_JOBS * 3));
  assert.ok(fleet.jobs.has('j2'));
});

test('devices come, change and go', () => {
  const device = { id: 'dev_1', hostname: 'pc', state: 'idle' } as Device;
  let fleet = event(EMPTY_FLEET, 'snapshot', { jobs: [], devices: [device] });
  fleet = event(fleet, 'device', { ...device, state: 'working' });
  assert.equal(fleet.devices.get('dev_1')?.state, 'working');
  fleet = event(fleet, 'device_removed', { id: 'dev_1' });
  assert.equal(fleet.devices.size, 0);
});

test('an event of an unknown type changes nothing', () => {
  assert.equal(event(EMPTY_FLEET, 'weather', { rain: true }), EMPTY_FLEET);
});

test('jobs are listed newest first, devices busiest first', () => {
  const jobs = [job('a', 'completed', 0, 5), job('b', 'completed', 0, 9), job('c', 'completed', 0, 5)];
  assert.deepEqual(newestFirst(jobs).map((j) => j.id), ['b', 'c', 'a']);
  const devices = [['z', 'offline'], ['b', 'idle'], ['a', 'idle'], ['y', 'working']]
    .map(([hostname, state]) => ({ id: hostname, hostname, state }) as Device);
  assert.deepEqual(busiestFirst(devices).map((d) => d.hostname), ['y', 'a', 'b', 'z']);
});
