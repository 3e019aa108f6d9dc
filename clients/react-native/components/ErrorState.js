import { explain } from '../words';
import EmptyState from './EmptyState';

/** Something could not be loaded. */
export default function ErrorState({ error, onRetry }) {
  const { title, detail } = explain(error);
  return (
    <EmptyState icon="cloud-offline" title={title} tone="fail" action="Try again" onAction={onRetry}>
      {detail}
    </EmptyState>
  );
}
