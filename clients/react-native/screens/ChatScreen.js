import EmptyState from '../components/EmptyState';
import Panes from '../components/Panes';
import { useNavigation } from '../navigation/Navigation';
import NameScreen from './NameScreen';
import RoomScreen from './RoomScreen';
import RoomsPane from './RoomsPane';
import { useSettings } from '../state/settings';

/** `open` is the room's name. */
export default function ChatScreen({ open }) {
  const { user } = useSettings();
  const { go, back } = useNavigation();
  if (!user) return <NameScreen />;
  return (
    <Panes
      list={<RoomsPane open={open} onOpen={(room) => go({ tab: 'chat', open: room })} />}
      detail={open && <RoomScreen key={open} name={open} onBack={back} />}
      nothing={
        <EmptyState icon="chatbubbles-outline" title="Choose a room">
          Its messages appear here, as they are said.
        </EmptyState>
      }
    />
  );
}
