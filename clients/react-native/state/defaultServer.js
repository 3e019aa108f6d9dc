import { Platform } from 'react-native';

/** Where `make run` is, as seen from an emulator; a real phone needs the computer's address, in Settings. */
export const defaultServer = () => (Platform.OS === 'android' ? 'http://10.0.2.2:8080' : 'http://localhost:8080');
