// Something went wrong, and what to do about it.
export function Notice({ message, onRetry }: { message: string; onRetry?: () => void }) {
  return (
    <div class="notice" role="alert">
      <p>{message}</p>
      {onRetry && <button type="button" class="button button-small" onClick={onRetry}>Try again</button>}
    </div>
  );
}
