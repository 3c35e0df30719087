// The devices: what each does, why, and how fast.
import { useRef, useState } from 'preact/hooks';
import type { Device } from '../api/types';
import { ConfirmButton } from '../components/confirm_button';
import { EmptyState } from '../components/empty_state';
import { FilterBar, matchesText, NO_FILTER } from '../components/filter_bar';
import { PageHead } from '../components/page_head';
import { StateBadge } from '../components/state_badge';
import { Link } from '../components/link';
import { countOf, formatAgo, formatBytes, formatMilliseconds, formatRate, formatTime } from '../format';
import { jobPath } from '../router';
import { useServices } from '../state/context';
import { busiestFirst } from '../state/fleet';
import { useKeptFocus, useNow } from '../state/hooks';
import { useStore } from '../state/store';
import { DEVICE_STATE, shortId } from '../words';
import { JoinCommands } from './first_steps';

const STATES = Object.entries(DEVICE_STATE).map(([value, { text }]) => ({ value, text }));

export function DevicesPage() {
  const { fleet } = useServices();
  const { devices, snapshots } = useStore(fleet);
  const [filter, setFilter] = useState(NO_FILTER);
  const all = busiestFirst(devices.values());
  const shown = all.filter(
    (device) =>
      (filter.state === '' || device.state === filter.state) &&
      matchesText(filter, [device.hostname, device.id, device.processor, device.operating_system, device.reason]),
  );
  return (
    <>
      <PageHead title="Devices" />
      {snapshots === 0 && <p class="muted" aria-busy="true">Loading…</p>}
      {snapshots > 0 && all.length === 0 && (
        <EmptyState title="No devices yet">
          <p>Install the agent on a machine that has idle hours, then type there:</p>
          <JoinCommands />
          <p class="hint">The link holds a secret. It stays good for more devices until an operator makes a new one.</p>
        </EmptyState>
      )}
      {all.length > 0 && (
        <>
          <FilterBar filter={filter} onChange={setFilter} label="Filter devices" states={STATES} />
          {shown.length === 0
            ? <p class="muted">No device fits the filter. <button type="button" class="text-button" onClick={() => setFilter(NO_FILTER)}>Clear the filter</button></p>
            : <DeviceTable devices={shown} />}
          <details class="panel details">
            <summary>Add a device</summary>
            <p>On the machine that shall work, type:</p>
            <JoinCommands />
          </details>
        </>
      )}
    </>
  );
}

function DeviceTable({ devices }: { devices: Device[] }) {
  const now = useNow();
  const table = useRef<HTMLTableElement>(null);
  useKeptFocus(table, 'tbody tr');
  return (
    <table class="table cards" ref={table}>
      <thead>
        <tr>
          <th scope="col">Device</th>
          <th scope="col">State</th>
          <th scope="col">Processor</th>
          <th scope="col" class="number">Speed</th>
          <th scope="col" class="number">Gives back in</th>
          <th scope="col">Works on</th>
          <th scope="col" class="number">Last seen</th>
          <th scope="col"><span class="visually-hidden">Actions</span></th>
        </tr>
      </thead>
      <tbody>{devices.map((device) => <DeviceRow key={device.id} device={device} now={now} />)}</tbody>
    </table>
  );
}

function DeviceRow({ device, now }: { device: Device; now: number }) {
  const { text, tone, meaning } = DEVICE_STATE[device.state];
  return (
    <tr>
      <th scope="row">
        <span class="row-title">{device.hostname}</span>
        <span class="row-detail">{device.operating_system} · agent {device.agent_version}</span>
      </th>
      <td data-label="State" class="wrap reason">
        <StateBadge text={text} tone={tone} />
        <span class="row-detail">{device.reason || meaning}</span>
      </td>
      <td data-label="Processor" class="wrap">
        {device.backend === null ? 'not known yet' : device.processor}
        <span class="row-detail">
          {device.backend === null
            ? 'told when its worker first runs'
            : device.backend === 'vulkan'
              ? `Vulkan · ${device.driver}`
              : 'CPU'}
          {device.memory_bytes > 0 && ` · ${formatBytes(device.memory_bytes)}`}
        </span>
      </td>
      <td data-label="Speed" class="number">
        <span>{speedOf(device)}</span>
        <span class="row-detail">{countOf(device.completed_requests, 'request')} done</span>
      </td>
      <td data-label="Gives back in" class="number"><GivesBackIn device={device} /></td>
      <td data-label="Works on"><Leases device={device} /></td>
      <td data-label="Last seen" class="number">
        <time dateTime={new Date(device.last_seen_at * 1000).toISOString()} title={formatTime(device.last_seen_at)}>
          {formatAgo(device.last_seen_at, now)}
        </time>
      </td>
      <td class="row-actions"><RemoveDevice device={device} /></td>
    </tr>
  );
}

// What it generates a second; of one that only reads for embeddings, what it reads.
function speedOf(device: Device): string {
  if (device.tokens_per_second > 0) return `${formatRate(device.tokens_per_second)} tokens/s`;
  const read = device.embedding_tokens_per_second ?? 0;
  return read > 0 ? `${formatRate(read)} tokens/s read` : 'not measured';
}

// From the owner's input to the device being free, as its agent measured it.
function GivesBackIn({ device }: { device: Device }) {
  const { yields } = device;
  if (!yields) return <span class="muted" title="Its agent has not had to yield yet">not measured</span>;
  const [half, most] = [formatMilliseconds(yields.p50_ms), formatMilliseconds(yields.p99_ms)];
  return (
    <span title={`After ${countOf(yields.count, 'input')} of the owner: free within ${half} half of the time, within ${most} 99 times of 100`}>
      {half}
      <span class="row-detail">p99 {most}</span>
    </span>
  );
}

function Leases({ device }: { device: Device }) {
  if (device.leases.length === 0) return <span class="muted">nothing</span>;
  return (
    <>
      {device.leases.map((lease) => (
        <span key={lease.id} class="lease">
          <Link to={jobPath(lease.job)}>{shortId(lease.job)}</Link>
          <span class="row-detail">{countOf(lease.requests, 'request')}</span>
        </span>
      ))}
    </>
  );
}

function RemoveDevice({ device }: { device: Device }) {
  const { api } = useServices();
  return (
    <ConfirmButton
      small label="Remove" accessibleLabel={`Remove ${device.hostname}`} question={`Remove ${device.hostname}?`}
      detail="Its work goes to other devices, and it must join again before it gets more." confirm="Remove it"
      keep="Keep it" act={() => api.removeDevice(device.id)}
    />
  );
}
