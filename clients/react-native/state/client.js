import AsyncStorage from '@react-native-async-storage/async-storage';
import { createContext, use, useMemo } from 'react';
import { createClient } from 'superapp-api';

import { useSettings } from './settings';

const Client = createContext(null);

/** The client of the server that the settings name. */
export function ClientProvider({ children }) {
  const { server } = useSettings();
  const client = useMemo(() => createClient({ url: server, storage: AsyncStorage }), [server]);
  return <Client value={client}>{children}</Client>;
}

export const useClient = () => use(Client);
