// A button for what cannot be undone: it asks first.
import { useServices } from '../state/context';
import type { Question } from './question';

interface ConfirmButtonProps extends Question {
  label: string;
  accessibleLabel?: string;
  small?: boolean;
}

export function ConfirmButton({ label, accessibleLabel, small, ...question }: ConfirmButtonProps) {
  const services = useServices();
  return (
    <button
      type="button" class={`button ${small ? 'button-small' : ''}`} aria-label={accessibleLabel}
      aria-haspopup="dialog" onClick={() => services.question.set(question)}
    >
      {label}
    </button>
  );
}
