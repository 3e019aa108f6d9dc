//! What a connection is asked to do reaches the server, and the URL has the last word.

use super::*;

async fn shown(postgres: &Postgres) -> Vec<(String, String)> {
    let names = "('application_name', 'client_connection_check_interval', 'idle_in_transaction_session_timeout', 'search_path', \
                 'statement_timeout', 'work_mem')";
    let question = format!("select name, current_setting(name) from pg_settings where name in {names} order by name");
    let rows = postgres.query(sql(question.leak()), &[]).await.expect("the settings");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

fn expected(application: &str, idle: &str, statement: &str, memory: &str) -> Vec<(String, String)> {
    let pairs = [
        ("application_name", application),
        ("client_connection_check_interval", "1s"),
        ("idle_in_transaction_session_timeout", idle),
        ("search_path", "t"),
        ("statement_timeout", statement),
        ("work_mem", memory),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

#[tokio::test]
async fn settings_reach_the_server() {
    let (_database, postgres) = numbers().await;
    assert_eq!(shown(&postgres).await, expected("superapp t", "5s", "2s", "4MB"));
}

#[tokio::test]
async fn the_url_has_the_last_word_on_settings_but_not_on_the_schema() {
    let database = Database::create();
    let options = "-c%20work_mem%3D5MB%20-c%20statement_timeout%3D7s%20-c%20search_path%3Dpublic";
    let postgres = open(&format!("{}?options={options}&application_name=mine", database.url())).await;
    assert_eq!(shown(&postgres).await, expected("mine", "5s", "7s", "5MB"));
}

#[test]
fn the_url_has_the_last_word_on_how_soon_a_dead_connection_is_noticed() {
    let session = |url: &str| {
        let session = connect::session(&url.parse().expect("an address"), "t", &Config::for_tests());
        let keepalives = (session.get_keepalives_idle(), session.get_keepalives_interval(), session.get_keepalives_retries());
        let seconds = |time: Option<&Duration>| time.map(Duration::as_secs);
        let idle = (session.get_keepalives(), keepalives.0.as_secs(), seconds(keepalives.1.as_ref()), keepalives.2);
        (idle, seconds(session.get_tcp_user_timeout()), seconds(session.get_connect_timeout()))
    };
    let ours = ((true, 15, Some(5), Some(3)), Some(30), Some(2));
    assert_eq!(session("postgres://h/x"), ours);
    let query = "keepalives_idle=7200&keepalives_interval=8&keepalives_retries=9&tcp_user_timeout=10&connect_timeout=11";
    assert_eq!(session(&format!("postgres://h/x?{query}")), ((true, 7200, Some(8), Some(9)), Some(10), Some(11)));
    assert!(!session("postgres://h/x?keepalives=0").0.0);
}

#[test]
fn each_host_has_its_time() {
    let limit = |url: &str| connect::time_limit(&connect::session(&url.parse().expect("an address"), "t", &Config::for_tests()));
    assert_eq!(limit("postgres://h/x"), Duration::from_secs(2));
    assert_eq!(limit("postgres://h,i,j/x"), Duration::from_secs(6));
    assert_eq!(limit("postgres://h,i/x?connect_timeout=3"), Duration::from_secs(6));
}

#[tokio::test]
async fn what_is_answered_is_on_disk_unless_the_url_asks_for_less() {
    let database = Database::create();
    database.run(&format!("alter database {} set synchronous_commit = off", name(&database)));
    let commit = async |url: &str| {
        let row = open(url).await.query_one(sql("select current_setting('synchronous_commit')"), &[]).await.expect("a setting");
        row.get::<_, String>(0)
    };
    assert_eq!(commit(&database.url()).await, "on");
    let asked = format!("{}?options=-c%20synchronous_commit%3Doff", database.url());
    assert_eq!(commit(&asked).await, "off");
    database.run(&format!("alter database {} set synchronous_commit = remote_apply", name(&database)));
    assert_eq!(commit(&database.url()).await, "remote_apply", "more is never turned into less");
}
