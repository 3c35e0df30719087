// A link to another page of this page: an ordinary anchor that does not reload.
import type { JSX } from 'preact';
import { useServices } from '../state/context';

type LinkProps = Omit<JSX.AnchorHTMLAttributes<HTMLAnchorElement>, 'href' | 'onClick'> & {
  to: string;
  onFollow?: () => void;
};

export function Link({ to, onFollow, ...rest }: LinkProps) {
  const { router } = useServices();
  const follow = (event: MouseEvent) => {
    const elsewhere = event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
    if (elsewhere) return;
    event.preventDefault();
    router.go(to);
    onFollow?.();
  };
  return <a {...rest} href={to} onClick={follow} />;
}
