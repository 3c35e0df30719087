// A text field and a choice of states that narrow a list. `/` goes to the field, Esc empties and leaves it.
import { useRef } from 'preact/hooks';
import { useFilterKey } from '../state/hooks';

export interface Filter {
  text: string;
  state: string; // empty: all
}

export const NO_FILTER: Filter = { text: '', state: '' };

interface FilterBarProps {
  filter: Filter;
  onChange: (filter: Filter) => void;
  label: string;
  states: { value: string; text: string }[];
}

export function FilterBar({ filter, onChange, label, states }: FilterBarProps) {
  const input = useRef<HTMLInputElement>(null);
  useFilterKey(input);
  const onKey = (event: KeyboardEvent) => {
    if (event.key !== 'Escape') return;
    event.preventDefault();
    if (filter.text !== '') onChange({ ...filter, text: '' });
    else input.current?.blur();
  };
  return (
    <div class="filter" role="search">
      <div class="filter-text">
        <input
          ref={input} type="search" aria-label={label} placeholder={label} value={filter.text} autocomplete="off"
          spellcheck={false} onInput={(event) => onChange({ ...filter, text: event.currentTarget.value })}
          onKeyDown={onKey}
        />
        <kbd aria-hidden="true">/</kbd>
      </div>
      <select
        aria-label="State" value={filter.state}
        onChange={(event) => onChange({ ...filter, state: event.currentTarget.value })}
      >
        <option value="">All states</option>
        {states.map((state) => <option key={state.value} value={state.value}>{state.text}</option>)}
      </select>
    </div>
  );
}

// Whether one of `fields` contains what was typed, in any case of letters.
export function matchesText(filter: Filter, fields: (string | null | undefined)[]): boolean {
  const wanted = filter.text.trim().toLowerCase();
  return wanted === '' || fields.some((field) => field?.toLowerCase().includes(wanted));
}
