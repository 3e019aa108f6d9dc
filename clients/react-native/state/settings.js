// What the user has chosen: the server's address and his own name. Kept on this device.

import AsyncStorage from '@react-native-async-storage/async-storage';
import { createContext, use, useCallback, useEffect, useMemo, useState } from 'react';

import { defaultServer } from './defaultServer';

const KEY = 'superapp:settings';
const Settings = createContext(null);

/** Shows nothing until the settings are read, which takes a moment. */
export function SettingsProvider({ children }) {
  const [settings, setSettings] = useState(null);

  useEffect(() => {
    const nothing = { server: defaultServer(), user: '' };
    AsyncStorage.getItem(KEY).then(
      (text) => setSettings({ ...nothing, ...parse(text) }),
      () => setSettings(nothing),
    );
  }, []);

  const save = useCallback(
    (changes) => {
      const next = { ...settings, ...changes };
      setSettings(next);
      return AsyncStorage.setItem(KEY, JSON.stringify(next));
    },
    [settings],
  );

  const value = useMemo(() => settings && { ...settings, save }, [settings, save]);
  return value && <Settings value={value}>{children}</Settings>;
}

/** `server`, `user`, and `save({ … })`. */
export const useSettings = () => use(Settings);

function parse(text) {
  try {
    const { server, user } = JSON.parse(text ?? '{}');
    return { ...(typeof server === 'string' && { server }), ...(typeof user === 'string' && { user }) };
  } catch {
    return {};
  }
}
