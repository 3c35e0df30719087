// The project's mark: the furrows of a field at rest, on a hill.
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" />
      <path d="M5 14.5c7-4.5 15-4.5 22 0M16 17v9M11.8 17.4 7.5 26M20.2 17.4l4.3 8.6" />
    </svg>
  );
}
