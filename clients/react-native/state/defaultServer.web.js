/** What serves the app is the server; except where the app is being developed. */
export const defaultServer = () => (__DEV__ ? 'http://localhost:8080' : window.location.origin);
