//! What errors of the crates below say, in the language of this run.
//!
//! Those crates know no language but English, and their errors have types: here each type that a person may see gets its
//! Chinese words, variant by variant, so that a new one does not compile without. What has no words here is told in
//! English: errors of the system that are rare, and of libraries.

use std::error::Error;
use std::io;

use suibi_client::{
    ClientError, HostError, JoinError, PlaceError, PrivateFileError, RemoteError, SyncError,
};
use suibi_coap::RequestError;
use suibi_journal::{DayError, NoteNameError, Refusal, TimeError};
use suibi_net::AddressError;
use suibi_server::ServeError;
use suibi_store::{NoteRefused, StoreError};

use crate::lang::{self, Language};

/// The text of this error, without its causes.
pub(crate) fn told(error: &(dyn Error + 'static)) -> String {
    let chinese = match lang::current() {
        Language::English => None,
        Language::Chinese => chinese(error),
    };
    chinese.unwrap_or_else(|| error.to_string())
}

/// Why the server does not take a change.
pub(crate) fn refusal(refusal: &Refusal) -> String {
    if lang::current() == Language::English {
        return refusal.to_string();
    }
    match refusal {
        Refusal::Gap { .. } => "服务器上缺少它之前的变更".to_owned(),
        Refusal::Fork { .. } => "这条链在别处已有另一个后续".to_owned(),
        Refusal::TooLarge => "太长，超过了上限".to_owned(),
        Refusal::Invalid(why) => format!("变更有误：{why}"),
    }
}

fn chinese(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref() {
        return client(error);
    }
    if let Some(error) = error.downcast_ref() {
        return Some(store(error));
    }
    if let Some(error) = error.downcast_ref() {
        return Some(remote(error));
    }
    if let Some(error) = error.downcast_ref() {
        return Some(sync(error));
    }
    if let Some(error) = error.downcast_ref() {
        return Some(note(error));
    }
    if let Some(error) = error.downcast_ref() {
        return Some(place(error));
    }
    if let Some(error) = error.downcast_ref() {
        return Some(address(error));
    }
    if let Some(error) = error.downcast_ref() {
        return Some(host(error));
    }
    if let Some(error) = error.downcast_ref() {
        return Some(serve(error));
    }
    if let Some(error) = error.downcast_ref() {
        return Some(file(error));
    }
    if let Some(error) = error.downcast_ref() {
        return joining(error);
    }
    if let Some(error) = error.downcast_ref() {
        return Some(note_name(error));
    }
    if let Some(error) = error.downcast_ref() {
        return Some(day(error));
    }
    if let Some(error) = error.downcast_ref() {
        return Some(time(error));
    }
    system(error.downcast_ref::<io::Error>()?)
}

fn client(error: &ClientError) -> Option<String> {
    Some(match error {
        ClientError::Store(_) => "本机保存的随笔".to_owned(),
        ClientError::Note(error) => note(error),
        ClientError::Changed(_) => "随笔在此期间被改动过".to_owned(),
        ClientError::NotDeleted(_) => "随笔没有被删除".to_owned(),
        ClientError::NothingToRestore(_) => "这里没有保存这条随笔的内容".to_owned(),
        ClientError::Receipt(text) => format!("“{text}”不是回执；回执的样子是 #1284 · 3f9ac1"),
        ClientError::Place(error) => place(error),
        ClientError::Remote(error) => remote(error),
        ClientError::Sync(error) => sync(error),
        ClientError::Host(error) => host(error),
        ClientError::Files(error) => file(error),
        ClientError::NotJoined(path) => {
            format!("本机没有加入任何服务器（缺少 {}）", path.display())
        }
        ClientError::Revoked { device, server } => {
            format!("服务器“{server}”已断开这台设备（那里称它为“{device}”）")
        }
        ClientError::ReadOnly(member) => format!(
            "“{}”在“{}”上只能读日记“{}”，不能写",
            member.device, member.server, member.journal
        ),
        ClientError::WriteOnly(member) => format!(
            "“{}”在“{}”上只能向日记“{}”添加随笔，不能读",
            member.device, member.server, member.journal
        ),
        ClientError::NotAdmin { device, server } => {
            format!("“{device}”无权管理本机加入的服务器“{server}”")
        }
        ClientError::Unanswered { tries, may_be_another, .. } => {
            let why = match may_be_another {
                true => "那个地址上有程序应答，却不能证明自己就是那台服务器：可能已经换成别的了",
                false => "也许服务器不再认识这台设备：它的数据可能来自这台设备加入之前的备份",
            };
            format!("连续 {tries} 次没有应答；{why}")
        }
        ClientError::Clock(_) => "本机的时钟".to_owned(),
        ClientError::Device(name) => {
            format!("“{name}”不能用作设备名称：太长、为空，或含有控制字符")
        }
        ClientError::Thread(_) => "无法启动后台线程".to_owned(),
    })
}

fn store(error: &StoreError) -> String {
    match error {
        StoreError::Full => "磁盘已满".to_owned(),
        StoreError::ReadOnly(what) => format!("数据库不可写：{what}"),
        StoreError::Corrupt(what) => format!("数据库已损坏：{what}"),
        StoreError::Foreign(path) => format!("{path} 不是 suibi 的数据库"),
        StoreError::Exists(path) => format!("{path} 已经存在，保持原样"),
        StoreError::NotBackup(path) => format!("{path} 不是 suibi 的备份"),
        StoreError::Newer { found, known } => {
            format!("数据库的格式是第 {found} 版，本程序只认识到第 {known} 版：需要更新的 suibi")
        }
        StoreError::Busy => "数据库正被另一个进程使用".to_owned(),
        StoreError::Page(error) => format!("服务器发来的一页有误：{error}"),
        StoreError::Broken(what) => format!("磁盘没能保存一次写入，需要重新打开数据库：{what}"),
        StoreError::Io(what) => format!("数据库无法使用：{what}"),
    }
}

fn remote(error: &RemoteError) -> String {
    match error {
        RemoteError::NoAddress => "不知道服务器的地址".to_owned(),
        RemoteError::Unreachable(address) => format!("{address} 上没有程序在监听"),
        RemoteError::NoAnswer { address, waited } => {
            format!("{address} 没有应答（等了 {} ms）", waited.as_millis())
        }
        RemoteError::Failed { address, error } => {
            format!("{address} 没有给出应答：{}", request(error))
        }
        RemoteError::Gone => "服务器已经不在了".to_owned(),
        RemoteError::Stopped => "已中断".to_owned(),
        RemoteError::Io(_) => "本机的网络".to_owned(),
    }
}

fn request(error: &RequestError) -> String {
    let text = match error {
        RequestError::TimedOut => "没有应答",
        RequestError::Reset => "对方拒绝了消息",
        RequestError::BadResponse => "应答无法理解",
        RequestError::TooLarge => "消息太大",
        RequestError::Busy => "等待对方的请求太多",
        RequestError::Unprotectable => "请求无法加密",
        RequestError::Closed => "连接已关闭",
    };
    text.to_owned()
}

fn sync(error: &SyncError) -> String {
    let said = |text: &str| match text {
        "" => String::new(),
        text => format!("：{text}"),
    };
    match error {
        SyncError::Busy { code, text } => format!("服务器正忙（{code}{}）", said(text)),
        SyncError::Refused { code, text } => format!("服务器拒绝了（{code}{}）", said(text)),
        SyncError::Nonsense(what) => format!("服务器的应答无法理解：{what}"),
    }
}

fn note(error: &NoteRefused) -> String {
    match error {
        NoteRefused::Exists(_) => "已有同一编号的随笔",
        NoteRefused::PreconditionFailed => "随笔在此期间被改动过",
        NoteRefused::NotFound => "没有这条随笔",
        NoteRefused::Purged => "这条随笔已彻底抹去，不能再写；请写一条新的",
        NoteRefused::TooLarge => "随笔太长：正文最多 1 MiB，附加内容最多 16 KiB",
    }
    .to_owned()
}

fn place(error: &PlaceError) -> String {
    match error {
        PlaceError::Address(error) => address(error),
        PlaceError::Slow(host) => format!("查询“{host}”的地址花的时间太长"),
    }
}

fn address(error: &AddressError) -> String {
    match error {
        AddressError::Empty { default_port } => {
            format!("地址是空的；应写作 HOST:PORT，例如 127.0.0.1:{default_port}")
        }
        AddressError::Port { text, port } => {
            format!("“{text}”中的“{port}”不是端口；端口是 0 到 65535 的数字")
        }
        AddressError::PortAlone(port) => {
            format!("“{port}”只有端口，没有主机；仅限本机写 127.0.0.1:{port}，所有网卡写 :{port}")
        }
        AddressError::Brackets(text) => {
            format!("“{text}”不是地址；带端口的 IPv6 地址写作 [::1]:5683")
        }
        AddressError::UnknownHost { host, .. } => format!("无法解析名称“{host}”"),
    }
}

fn host(error: &HostError) -> String {
    match error {
        HostError::Serve(error) => serve(error),
        HostError::Lock { data_dir, .. } => format!("无法读取 {} 中的锁文件", data_dir.display()),
        HostError::Starting { pid } => {
            let which = pid.map(|pid| format!("（进程 {pid}）")).unwrap_or_default();
            format!("另一个进程{which}占着服务器，却没有说明在哪里监听")
        }
    }
}

/// Of a server that does not start.
fn serve(error: &ServeError) -> String {
    match error {
        ServeError::NoListener => {
            "没有可以监听的地址；请指定一个 CoAP 或纯文本的监听地址".to_owned()
        }
        ServeError::Address { text, source } => format!("无法监听“{text}”：{}", address(source)),
        ServeError::CoapOptions(text) => {
            format!("无法监听“{text}”：逗号后的选项只用于 --plain，这里请去掉")
        }
        ServeError::PlainReach { address } => format!(
            "其他机器能连到 {address}，而纯文本方式对所有人开放；请用 127.0.0.1，或用 --plain-anyone 允许"
        ),
        ServeError::PlainMax(bytes) => format!("历史数据报的字节数不能是 {bytes}"),
        ServeError::Bind { address, source } => {
            let why = match source.kind() {
                io::ErrorKind::AddrInUse => "已被另一个程序占用".to_owned(),
                io::ErrorKind::AddrNotAvailable => "本机没有这个地址".to_owned(),
                io::ErrorKind::PermissionDenied => "没有权限（1024 以下的端口需要特权）".to_owned(),
                _ => told(source),
            };
            format!("无法监听 {address}：{why}")
        }
        ServeError::InUse { data_dir, pid, .. } => {
            let which = pid.map(|pid| format!("（进程 {pid}）")).unwrap_or_default();
            format!(
                "另一个 suibi 服务器{which}正在使用 {}；请先结束它，或换一个数据目录",
                data_dir.display()
            )
        }
        ServeError::DataDir { data_dir, source } => {
            format!("数据目录 {} 无法使用：{}", data_dir.display(), told(source))
        }
        ServeError::Store { data_dir, source } => {
            format!("无法打开 {} 中的随笔：{}", data_dir.display(), store(source))
        }
        ServeError::Crashed(part) => {
            format!("服务器的 {part} 部分出错；已确认的内容都还在，请重新启动")
        }
        ServeError::System(error) => format!("系统不允许运行服务器：{}", told(error)),
    }
}

fn file(error: &PrivateFileError) -> String {
    match error {
        PrivateFileError::Io { path, .. } => format!("文件 {} 无法使用", path.display()),
        PrivateFileError::Damaged { path, what } => {
            format!("文件 {} 已损坏：{what}", path.display())
        }
        PrivateFileError::Newer { path } => format!("文件 {} 由更新的 suibi 写成", path.display()),
    }
}

fn joining(error: &JoinError) -> Option<String> {
    let said = |text: &str| match text {
        "" => String::new(),
        text => format!("：{text}"),
    };
    Some(match error {
        JoinError::AlreadyJoined(there) => format!(
            "本机已经加入服务器“{}”（{}），在那里叫“{}”",
            there.server, there.address, there.device
        ),
        JoinError::Used { .. } => "这个邀请已经用过了".to_owned(),
        JoinError::Expired { .. } => "这个邀请已经过期".to_owned(),
        JoinError::NoAnswer { address, waited } => {
            format!("{address} 没有应答（等了 {} 秒）", waited.as_secs())
        }
        JoinError::NotConfirmed { address } => {
            format!("{address} 的服务器接受了这台设备，之后却不再应答")
        }
        JoinError::Unreachable { address } => format!("{address} 上没有程序在监听"),
        JoinError::LoopbackElsewhere { address } => {
            format!("这一行指向 {address}，也就是本机，而那台服务器不在这里")
        }
        JoinError::OwnServer => "这一行指向本机自己的服务器，不需要邀请".to_owned(),
        JoinError::Offline { address, .. } => format!("本机无法连到 {address}"),
        JoinError::Unresolvable { host, .. } => format!("找不到“{host}”的地址"),
        JoinError::NotOurs { address } => format!("{address} 有服务器应答，但不认识这个邀请"),
        JoinError::Refused { code, text } => format!("服务器拒绝加入（{code}{}）", said(text)),
        JoinError::Busy { code, text } => {
            format!("服务器现在无法接受新设备（{code}{}）", said(text))
        }
        JoinError::Nonsense(what) => format!("服务器的应答无法理解：{what}"),
        JoinError::Device(name) => {
            format!("“{name}”不能用作设备名称：太长、为空、含有控制字符，或两端有空格")
        }
        JoinError::InProgress => "本机上的另一个 suibi 正在加入".to_owned(),
        JoinError::Carry(_) => "本机的随笔无法带过去".to_owned(),
        JoinError::Files(error) => file(error),
        JoinError::Local(error) => return client(error),
    })
}

/// What helps after a join that did not happen.
pub(crate) fn join_hint(error: &JoinError) -> String {
    if lang::current() == Language::English {
        return error.hint().to_owned();
    }
    match error {
        JoinError::AlreadyJoined(_) => {
            "suibi status 会显示它；suibi join --again LINE 离开它，改为加入这一行的服务器"
        }
        JoinError::Used { .. } => {
            "一个邀请只能让一台设备加入：请再要一个（在服务器上运行 suibi invite）；如果不是你用的，在那里运行 \
             suibi devices 可以看到是谁"
        }
        JoinError::Expired { .. } => "请再要一个：在服务器上运行 suibi invite；--expires 1h 有效期更长",
        JoinError::NoAnswer { .. } => {
            "服务器在运行吗？它的防火墙放行 UDP 吗？确认后用同一行再加入；邀请仍然有效"
        }
        JoinError::NotConfirmed { .. } => "用同一行再加入一次；邀请仍然有效",
        JoinError::Unreachable { .. } => {
            "启动服务器（suibi serve），或要一行端口正确的，然后用同一行再加入"
        }
        JoinError::LoopbackElsewhere { .. } => {
            "在服务器上：先 suibi serve --listen :5683，再 suibi invite --host NAME，NAME 是别人能连到的名称或地址"
        }
        JoinError::OwnServer => "在这里写的随笔已经在它上面；请在另一台设备上运行：suibi join LINE",
        JoinError::Offline { .. } => "本机联网了吗？联网后用同一行再加入；邀请仍然有效",
        JoinError::Unresolvable { .. } => {
            "本机联网了吗？主机名写对了吗？在服务器上运行 suibi invite --host ADDRESS 可以得到用数字地址的一行"
        }
        JoinError::NotOurs { .. } => {
            "这一行是那台服务器给的吗？它可能是另一台，或者数据比邀请旧：请再要一个（在服务器上运行 suibi invite）"
        }
        JoinError::Refused { .. } | JoinError::Nonsense(_) => {
            "两边用同一版本的 suibi 会有帮助；在服务器上运行 suibi audit 可能有更多说明"
        }
        JoinError::Busy { .. } => "一分钟后用同一行再加入；邀请仍然有效",
        JoinError::Device(_) => "请换一个：suibi join --name NAME LINE",
        JoinError::InProgress => "等它完成，或者结束它",
        JoinError::Carry(_) => "什么也没有改变；解决之后，用同一行再加入",
        JoinError::Files(_) | JoinError::Local(_) => "什么也没有丢；解决之后，用同一行再加入",
    }
    .to_owned()
}

fn note_name(error: &NoteNameError) -> String {
    match error {
        NoteNameError::Empty => "哪一条随笔？写 `last`，或回执的号码，例如 `#1284`".to_owned(),
        NoteNameError::Short(text) => format!(
            "“{text}”太短，指不出一条随笔：请写回执的全部六位，例如 `3f9ac1`，或号码，例如 `#1284`"
        ),
        NoteNameError::Zero(text) => format!("“{text}”不是任何随笔的号码：第一条是 `#1`"),
        NoteNameError::Unknown(text) => format!(
            "“{text}”指不出随笔：请写 `last`、回执的号码（`#1284`）、六位字符（`3f9ac1`）或随笔的编号"
        ),
    }
}

fn day(error: &DayError) -> String {
    match error {
        DayError::Form(text) => format!("“{text}”不是日期"),
        DayError::Year(year) => format!("年份 {year} 不在 0 到 9999 之间"),
        DayError::Month(month) => format!("没有 {month} 月：月份是 01 到 12"),
        DayError::DayOfMonth { year, month, days } => format!("{year} 年 {month} 月只有 {days} 天"),
    }
}

fn time(error: &TimeError) -> String {
    match error {
        TimeError::OutOfRange => "年份不在 0 到 9999 之间",
        TimeError::Offset => "时差不在 -23:59 到 +23:59 之间",
        TimeError::Form => "时间应写作 2026-11-23T09:05:00.000+08:00",
    }
    .to_owned()
}

/// What people meet of the system's errors; the number stays, for whoever looks it up.
fn system(error: &io::Error) -> Option<String> {
    use io::ErrorKind;
    let text = match error.kind() {
        ErrorKind::NotFound => "没有这个文件或目录",
        ErrorKind::PermissionDenied => "没有权限",
        ErrorKind::AlreadyExists => "文件已经存在",
        ErrorKind::AddrInUse => "地址已被占用",
        ErrorKind::AddrNotAvailable => "本机没有这个地址",
        ErrorKind::ConnectionRefused => "连接被拒绝",
        ErrorKind::ConnectionReset => "连接被对方重置",
        ErrorKind::NetworkUnreachable => "网络不可达",
        ErrorKind::HostUnreachable => "主机不可达",
        ErrorKind::TimedOut => "超时",
        ErrorKind::StorageFull => "磁盘已满",
        ErrorKind::ReadOnlyFilesystem => "文件系统是只读的",
        ErrorKind::NotADirectory => "不是目录",
        ErrorKind::IsADirectory => "是一个目录",
        ErrorKind::FileTooLarge => "文件太大",
        ErrorKind::BrokenPipe => "管道已断开",
        _ => return None,
    };
    Some(match error.raw_os_error() {
        Some(number) => format!("{text}（os error {number}）"),
        // It has a text of its own, which says more.
        None => return None,
    })
}
