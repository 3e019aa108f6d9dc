import { useState } from 'react';

import EmptyState from '../components/EmptyState';
import Panes from '../components/Panes';
import { useNavigation } from '../navigation/Navigation';
import { useLater } from '../state/useLater';
import { useUsers } from '../state/useUsers';
import UserScreen from './UserScreen';
import UsersPane from './UsersPane';

/** What `open` says where nobody is open yet: somebody is to be created. An id is a UUID, so it is none. */
export const NEW = 'new';

/** `open` is an id, or NEW. */
export default function UsersScreen({ open }) {
  const { go, replace, back } = useNavigation();
  const [text, setText] = useState('');
  const q = useLater(text.trim());
  const list = useUsers(q);
  const show = (id) => go({ tab: 'users', open: id });

  const created = (user) => {
    list.created(user);
    replace({ tab: 'users', open: user.id });
  };
  const deleted = (id) => {
    list.deleted(id);
    back();
  };
  return (
    <Panes
      list={<UsersPane {...list} q={q} text={text} onText={setText} open={open} onOpen={show} onNew={() => show(NEW)} />}
      detail={
        open && (
          <UserScreen key={open} id={open === NEW ? undefined : open} onBack={back} onCreated={created} onChanged={list.changed} onDeleted={deleted} />
        )
      }
      nothing={
        // Where there is nobody to choose, the list says so.
        list.users.length > 0 && (
          <EmptyState icon="person-circle-outline" title="Choose somebody" action="New person" onAction={() => show(NEW)}>
            Or create an account for somebody new.
          </EmptyState>
        )
      }
    />
  );
}
