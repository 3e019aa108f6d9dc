import { useEffect, useState } from 'react';
import { AppState } from 'react-native';

/** Whether somebody may be looking: the app is in front, the browser's tab is shown. */
export function useIsFront() {
  const [isFront, setFront] = useState(AppState.currentState !== 'background');
  useEffect(() => {
    const change = AppState.addEventListener('change', (now) => setFront(now === 'active'));
    return () => change.remove();
  }, []);
  return isFront;
}
