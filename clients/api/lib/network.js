// Whether the device has a network, where the platform tells: browsers do, Node does not.

/**
 * @param {{ lost: () => void, back: () => void }} listeners
 * @returns {() => void} What stops it.
 */
export function onNetwork({ lost, back }) {
  const platform = globalThis;
  if (typeof platform.addEventListener !== 'function' || typeof platform.navigator?.onLine !== 'boolean') return () => {};
  platform.addEventListener('offline', lost);
  platform.addEventListener('online', back);
  return () => {
    platform.removeEventListener('offline', lost);
    platform.removeEventListener('online', back);
  };
}
