import { explain } from '../words';
import EmptyState from './EmptyState';

/** Something could not be loaded. */
export default function ErrorState({ error, onRetry }) {
  const { title, detail, icon, final } = explain(error);
  return (
    <EmptyState icon={icon} title={title} tone="fail" action={final ? undefined : 'Try again'} onAction={onRetry}>
      {detail}
    </EmptyState>
  );
}
