import { useEffect, useState } from 'react';

/** A value once it has stayed the same for a moment: what is typed is not searched letter by letter. */
export function useLater(value, ms = 250) {
  const [later, setLater] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setLater(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return later;
}
