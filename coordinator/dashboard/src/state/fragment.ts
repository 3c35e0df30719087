// What the part of a link behind `#` says. It never reaches the wire, and the page takes it off the address at once.

export type Fragment =
  | { kind: 'none' }
  | { kind: 'key'; key: string } // a sign-in link
  | { kind: 'join' }; // a join link, meant for `fallow-agent join`

export function parseFragment(hash: string): Fragment {
  const fields = new URLSearchParams(hash.replace(/^#/, ''));
  const key = fields.get('key');
  if (key) return { kind: 'key', key };
  return fields.has('join') ? { kind: 'join' } : { kind: 'none' };
}

// Reads the address's fragment and removes it from the address and the history.
export function takeFragment(): Fragment {
  const fragment = parseFragment(location.hash);
  if (fragment.kind !== 'none') history.replaceState(null, '', location.pathname + location.search);
  return fragment;
}
