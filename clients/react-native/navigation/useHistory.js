// Where one is, and the way back: on phones, the system's back button closes what is open.

import { useCallback, useEffect, useState } from 'react';
import { BackHandler } from 'react-native';

import { START } from './routes';

export function useHistory() {
  const [places, setPlaces] = useState([START]);
  const route = places.at(-1);

  const go = useCallback((next) => setPlaces((before) => [...before, next]), []);
  const replace = useCallback((next) => setPlaces((before) => [...before.slice(0, -1), next]), []);
  const back = useCallback(() => {
    setPlaces((before) => {
      const { tab, open } = before.at(-1);
      // What is open lies over the list it came from, wherever one was before.
      if (open !== undefined) return [...before.filter((place, at) => at < before.length - 1 && place.open === undefined), { tab, open: undefined }];
      return before.length > 1 ? before.slice(0, -1) : before;
    });
  }, []);

  const isFirst = places.length === 1 && route.open === undefined;
  useEffect(() => {
    const pressed = BackHandler.addEventListener('hardwareBackPress', () => {
      if (isFirst) return false;
      back();
      return true;
    });
    return () => pressed.remove();
  }, [isFirst, back]);

  return { route, go, replace, back };
}
