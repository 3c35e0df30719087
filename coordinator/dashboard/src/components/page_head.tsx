// A page's heading with what may be done there; also names the browser's tab.
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';

interface PageHeadProps {
  title: string;
  above?: ComponentChildren; // the way back
  beside?: ComponentChildren; // a state
  actions?: ComponentChildren;
}

export function PageHead({ title, above, beside, actions }: PageHeadProps) {
  useEffect(() => {
    document.title = `${title} · Fallow`;
  }, [title]);
  return (
    <div class="page-head">
      {above}
      <div class="page-head-row">
        <h1>{title}</h1>
        {beside}
        {actions && <div class="page-actions">{actions}</div>}
      </div>
    </div>
  );
}
