// One number with its name.
import type { ComponentChildren } from 'preact';

export function Figures({ children }: { children: ComponentChildren }) {
  return <dl class="figures">{children}</dl>;
}

export function Figure({ name, value, unit, tone }: { name: string; value: string; unit?: string; tone?: 'bad' }) {
  return (
    <div class="figure">
      <dt>{name}</dt>
      <dd class={tone === 'bad' ? 'figure-bad' : undefined}>
        {value}
        {unit && <span class="figure-unit"> {unit}</span>}
      </dd>
    </div>
  );
}
