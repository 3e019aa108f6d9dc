// What went wrong, in words for people; dates and numbers as they are read here.

/** A title, a detail and an icon for an error, whatever it is. What is `final` is not worth another try. */
export function explain(error) {
  const detail = error?.message ?? String(error);
  switch (error?.code) {
    case 'network':
      return { icon: 'cloud-offline', title: 'Cannot reach the server', detail: 'Nothing answers at its address. Check your connection, or the address in Settings.' };
    case 'timeout':
      return { icon: 'hourglass-outline', title: 'The server takes too long', detail: 'It may be busy. Try again in a moment.' };
    case 'not_superapp':
      return { icon: 'help-circle', title: 'Something else answers there', detail: 'The address belongs to another kind of server. Check it in Settings.' };
    case 'invalid_argument':
      return { icon: 'help-circle', title: 'That is no address', detail: 'It should look like http://localhost:8080.' };
    case 'user_not_found':
      return { icon: 'person-remove', title: 'This person is gone', detail: 'Somebody has deleted the account.', final: true };
    case 'rate_limited':
    case 'overloaded':
    case 'unavailable':
      return { icon: 'hourglass-outline', title: 'The server is busy', detail: 'It could not do this right now. Try again in a moment.' };
    case 'text_too_long':
    case 'frame_too_large':
      return { icon: 'alert-circle', title: 'The message is too long', detail: 'It is too long: send it in parts.', final: true };
    default:
      return { icon: 'alert-circle', title: 'That did not work', detail: sentence(detail) };
  }
}

/** "14:05" today, "Mon" within a week, "3 Nov" before. */
export function shortTime(iso, now = new Date()) {
  const date = new Date(iso);
  const days = Math.round((startOfDay(now) - startOfDay(date)) / 86_400_000);
  if (days <= 0) return clockTime(iso);
  if (days < 7) return date.toLocaleDateString(undefined, { weekday: 'short' });
  return date.toLocaleDateString(undefined, { day: 'numeric', month: 'short' });
}

export const clockTime = (iso) => new Date(iso).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });

/** "Today", "Yesterday", or the date. */
export function dayName(iso, now = new Date()) {
  const days = Math.round((startOfDay(now) - startOfDay(new Date(iso))) / 86_400_000);
  if (days === 0) return 'Today';
  if (days === 1) return 'Yesterday';
  return new Date(iso).toLocaleDateString(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
}

export const fullDate = (iso) => new Date(iso).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });

export const number = (value) => value.toLocaleString();

/** "3 d 4 h", "5 min", "12 s" */
export function duration(seconds) {
  const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min` : `${Math.floor(seconds)} s`;
}

export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

/** What a server says in small letters, as a sentence. */
export const sentence = (words) => words && words[0].toUpperCase() + words.slice(1) + (/[.!?…]$/.test(words) ? '' : '.');

const startOfDay = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
