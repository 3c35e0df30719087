// An address that leads nowhere.
import { EmptyState } from '../components/empty_state';
import { Link } from '../components/link';
import { PageHead } from '../components/page_head';

export function UnknownPage({ path }: { path: string }) {
  return (
    <>
      <PageHead title="Page not found" />
      <EmptyState title="There is nothing at this address">
        <p><code>{path}</code> is not a page of this dashboard.</p>
        <p><Link to="/" class="button">Go to the jobs</Link></p>
      </EmptyState>
    </>
  );
}
