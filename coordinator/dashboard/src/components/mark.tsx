// The project's mark: furrows of a field at rest.
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" />
      <path d="M6 12c6-4.5 14-4.5 20 0M6 18c6-4.5 14-4.5 20 0M6 24c6-4.5 14-4.5 20 0" />
    </svg>
  );
}
