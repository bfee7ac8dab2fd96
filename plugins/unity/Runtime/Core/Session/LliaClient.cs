using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;

namespace Llia.Core
{
    /// <summary>
    /// A daemon's client: keeps both connections, greets, pings, opens avatars again, sends speech. Three threads: one reads
    /// control, one reads frames, one (the keeper) sends. Safe from any thread; <see cref="Dispose"/> ends all of it.
    /// </summary>
    public sealed class LliaClient : IDisposable
    {
        private const int TickMs = 50;
        private const int LongestPingPauseMs = 2000;
        private const int RequestTimeoutMs = 10000;
        private const int OpenTimeoutMs = 90000;
        private const int MostRequests = 256;

        private readonly ClientSettings m_settings;
        private readonly object m_guard = new object();
        private readonly object m_waking = new object();
        private readonly Queue<PendingRequest> m_outbox = new Queue<PendingRequest>();
        private readonly Dictionary<long, PendingRequest> m_pending = new Dictionary<long, PendingRequest>();
        private readonly List<long> m_overdue = new List<long>();
        private readonly MsgpackWriter m_writer = new MsgpackWriter();
        private readonly ControlReader m_controlReader;
        private readonly FramesReader m_framesReader;
        private readonly ZmtpLink m_control;
        private readonly Thread m_keeper;
        private AvatarSession[] m_sessions = new AvatarSession[0];
        private ZmtpLink m_frames;
        private ZmtpConnection m_controlConnection;
        private ConnectionState m_state = ConnectionState.Disconnected;
        private WelcomeReply m_welcome = new WelcomeReply();
        private string m_problem = "";
        private string m_resumeToken = "";
        private int m_connections;
        private long m_number;
        private long m_helloNumber = -1;
        private long m_helloMs;
        private long m_pingNumber = -1;
        private long m_pingTicks;
        private long m_nextPingMs;
        private double m_roundTripMs = -1;
        private long m_clockOffsetNs;
        private byte[] m_payload = new byte[96 * 1024];
        private bool m_woken;
        private volatile bool m_closed;

        /// <summary>Starts at once; it connects in the background and never stops trying.</summary>
        /// <exception cref="FormatException">An endpoint is none.</exception>
        public LliaClient(ClientSettings settings)
        {
            m_settings = settings;
            var control = TcpAddress.Parse(settings.ControlEndpoint);
            if (settings.FramesEndpoint.Length > 0)
            {
                TcpAddress.Parse(settings.FramesEndpoint);
            }
            m_controlReader = new ControlReader(this);
            m_framesReader = new FramesReader(this, settings.MostFrameBytes);
            m_control = new ZmtpLink(
                "llia-control", control, ZmtpSocketType.Dealer, m_controlReader, settings.HandshakeTimeoutMs, NewBackoff());
            m_keeper = new Thread(Keep) { IsBackground = true, Name = "llia-keeper" };
            m_keeper.Start();
        }

        /// <summary>Something changed in <see cref="Status"/>. Comes on a thread of the client's.</summary>
        public event Action StatusChanged;

        public ConnectionStatus Status
        {
            get
            {
                lock (m_guard)
                {
                    return new ConnectionStatus
                    {
                        State = m_state,
                        Problem = m_problem,
                        Daemon = m_welcome.Daemon,
                        RoundTripMs = m_roundTripMs,
                        Connections = m_connections,
                        Malformed = m_controlReader.Malformed + m_framesReader.Malformed,
                        MalformedText = m_framesReader.MalformedText ?? m_controlReader.MalformedText ?? "",
                    };
                }
            }
        }

        /// <summary>Names of the expressions that the daemon offers.</summary>
        public string[] Expressions
        {
            get { lock (m_guard) { return m_welcome.Expressions.ToArray(); } }
        }

        /// <summary>What to add to this machine's monotonic clock to have the daemon's, ns; known after the first ping.</summary>
        public long ClockOffsetNs
        {
            get { lock (m_guard) { return m_clockOffsetNs; } }
        }

        /// <summary>This machine's monotonic clock.</summary>
        public static long MonotonicNs
        {
            get { return (long)(Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency)); }
        }

        internal long NowMs
        {
            get { return Stopwatch.GetTimestamp() / (Stopwatch.Frequency / 1000); }
        }

        /// <summary>Wants an avatar from now on; returns at once.</summary>
        public AvatarSession Open(AvatarSettings settings)
        {
            var session = new AvatarSession(this, settings, Wake);
            lock (m_guard)
            {
                var more = new List<AvatarSession>(m_sessions) { session };
                m_sessions = more.ToArray();
            }
            Wake();
            return session;
        }

        /// <summary>Tries to connect now instead of waiting for the next attempt.</summary>
        public void Hurry()
        {
            m_control.Hurry();
        }

        /// <summary>Ends threads and sockets; what is awaited fails with <c>closed</c>. Returns within about a second.</summary>
        public void Dispose()
        {
            if (m_closed)
            {
                return;
            }
            AvatarSession[] sessions;
            lock (m_guard)
            {
                m_closed = true;
                sessions = m_sessions;
                m_sessions = new AvatarSession[0];
            }
            SayGoodbye(sessions);
            foreach (var session in sessions)
            {
                session.MarkClosed();
            }
            Wake();
            m_keeper.Join(1000);
            m_control.Dispose();
            var frames = m_frames;
            if (frames != null)
            {
                frames.Dispose();
            }
            FailAll("closed", "the client was closed");
            SetState(ConnectionState.Closed, "");
        }

        internal void Wake()
        {
            lock (m_waking)
            {
                m_woken = true;
                Monitor.Pulse(m_waking);
            }
        }

        /// <summary>Sends a request as soon as there is a daemon and awaits its answer.</summary>
        /// <exception cref="LliaException">Refused, not answered in time, or the client was closed.</exception>
        internal Task<T> AskAsync<T>(Action<MsgpackWriter, long> write, CancellationToken cancellation) where T : Reply
        {
            var request = new PendingRequest<T>(write, null, NowMs + RequestTimeoutMs);
            if (cancellation.CanBeCanceled)
            {
                var registration = cancellation.Register(request.Cancel);
                request.Task.ContinueWith(
                    done => registration.Dispose(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously,
                    TaskScheduler.Default);
            }
            Enqueue(request);
            return request.Task;
        }

        /// <summary>Sends a request whose success nobody awaits; a refusal is told as an event of the avatar.</summary>
        internal void Tell(AvatarSession session, Action<MsgpackWriter, long> write)
        {
            Enqueue(new Notice(session, write, NowMs + RequestTimeoutMs));
        }

        internal void Close(AvatarSession session)
        {
            var id = session.AvatarId;
            var own = !session.Settings.UseDefault;
            lock (m_guard)
            {
                var fewer = new List<AvatarSession>(m_sessions);
                fewer.Remove(session);
                m_sessions = fewer.ToArray();
            }
            var topics = session.Inbox.Topics;
            session.MarkClosed();
            m_framesReader.Leave(topics);
            if (own && id.Length > 0)
            {
                Enqueue(new Notice(null, (writer, number) => Requests.CloseAvatar(writer, number, id), NowMs + RequestTimeoutMs));
            }
        }

        internal AvatarSession[] Sessions
        {
            get { return Volatile.Read(ref m_sessions); }
        }

        // From the control reader.

        internal void ControlConnected(ZmtpConnection connection)
        {
            lock (m_guard)
            {
                m_controlConnection = connection;
                m_helloNumber = ++m_number;
                m_helloMs = NowMs;
                m_pingNumber = -1;
                m_connections++;
                var writer = new MsgpackWriter();
                Requests.Hello(writer, m_helloNumber, m_settings.ClientName, m_resumeToken);
                connection.Send(writer.Buffer, writer.Count, null, 0, 0);
            }
            SetState(ConnectionState.Greeting, "");
        }

        internal void ControlDisconnected(string reason)
        {
            lock (m_guard)
            {
                m_controlConnection = null;
            }
            FailAll("disconnected", "the connection to the daemon was lost");
            SetState(ConnectionState.Disconnected, reason);
        }

        internal void Answered(Reply reply)
        {
            var welcome = reply as WelcomeReply;
            if (welcome != null && reply.RequestNumber == m_helloNumber)
            {
                Welcomed(welcome);
                return;
            }
            var pong = reply as PongReply;
            if (pong != null)
            {
                Ponged(pong);
                return;
            }
            PendingRequest pending;
            lock (m_guard)
            {
                if (m_pending.TryGetValue(reply.RequestNumber, out pending))
                {
                    m_pending.Remove(reply.RequestNumber);
                }
            }
            var error = reply as ErrorReply;
            if (error != null)
            {
                Refused(error, pending);
            }
            else if (pending != null)
            {
                pending.Answer(reply);
            }
            else
            {
                foreach (var session in Sessions)
                {
                    if (session.Speech.Acknowledge(reply.RequestNumber) || session.Heard.Acknowledge(reply.RequestNumber))
                    {
                        break;
                    }
                }
            }
        }

        /// <summary>Whether somebody keeps the answer, so that it must not be read into again.</summary>
        internal bool IsAwaited(long number)
        {
            lock (m_guard)
            {
                return m_pending.ContainsKey(number) || number == m_helloNumber;
            }
        }

        private void Welcomed(WelcomeReply welcome)
        {
            if (welcome.ProtocolVersion != WireMessage.Version)
            {
                SetState(ConnectionState.Refused, m_control.Address + ": the daemon answers with protocol version "
                    + welcome.ProtocolVersion + "; this package speaks " + WireMessage.Version);
                return;
            }
            lock (m_guard)
            {
                m_welcome = welcome;
                m_resumeToken = welcome.ResumeToken;
                m_nextPingMs = NowMs;
            }
            foreach (var session in Sessions)
            {
                session.Speech.SetLimit(welcome.Limits.Get("waiting_speech_s", 300));
                session.Reconnected(welcome.OwnAvatars);
            }
            OpenFrames(welcome.FramesEndpoint);
            SetState(ConnectionState.Ready, "");
            Wake();
        }

        private void OpenFrames(string told)
        {
            var address = m_settings.FramesEndpoint.Length > 0
                ? TcpAddress.Parse(m_settings.FramesEndpoint) : Reachable(told);
            lock (m_guard)
            {
                if (m_closed)
                {
                    return;
                }
                if (m_frames == null)
                {
                    m_frames = new ZmtpLink(
                        "llia-frames", address, ZmtpSocketType.Sub, m_framesReader, m_settings.HandshakeTimeoutMs, NewBackoff());
                    return;
                }
            }
            if (m_frames.Address.ToString() != address.ToString())
            {
                m_frames.MoveTo(address);
            }
            else
            {
                m_frames.Hurry();
            }
        }

        /// <summary>The daemon may name an address that only it can reach; its host is then the control socket's.</summary>
        private TcpAddress Reachable(string told)
        {
            try
            {
                return new TcpAddress(m_control.Address.Host, TcpAddress.Parse(told).Port);
            }
            catch (FormatException)
            {
                return new TcpAddress(m_control.Address.Host, m_control.Address.Port + 1);
            }
        }

        private void Ponged(PongReply pong)
        {
            lock (m_guard)
            {
                if (pong.RequestNumber != m_pingNumber)
                {
                    return;
                }
                m_pingNumber = -1;
                var ticks = Stopwatch.GetTimestamp() - m_pingTicks;
                m_roundTripMs = ticks * 1000.0 / Stopwatch.Frequency;
                m_clockOffsetNs = pong.DaemonNs - (MonotonicNs - (long)(m_roundTripMs * 0.5e6));
            }
        }

        private void Refused(ErrorReply error, PendingRequest pending)
        {
            if (error.RequestNumber == m_helloNumber && error.RequestNumber >= 0)
            {
                SetState(ConnectionState.Refused, m_control.Address + ": " + error.Text);
                return;
            }
            if (pending != null)
            {
                pending.Fail(error.Code, error.Text);
            }
            foreach (var session in Sessions)
            {
                Utterance lost;
                var mine = session.Speech.Refuse(error.RequestNumber, error.Code, NowMs, out lost)
                    || session.Heard.Refuse(error.RequestNumber, error.Code, NowMs, out lost);
                if (lost != null)
                {
                    session.Tell(error.Code, error.Text);
                }
                if (error.Code == "unknown_avatar"
                    && (mine || (error.AvatarId.Length > 0 && error.AvatarId == session.AvatarId)))
                {
                    session.Lose("the daemon does not know the avatar any more; it is opened anew");
                }
            }
        }

        // The keeper.

        private void Keep()
        {
            while (!m_closed)
            {
                lock (m_waking)
                {
                    if (!m_woken)
                    {
                        Monitor.Wait(m_waking, TickMs);
                    }
                    m_woken = false;
                }
                ZmtpConnection connection;
                bool ready;
                lock (m_guard)
                {
                    connection = m_controlConnection;
                    ready = m_state == ConnectionState.Ready;
                }
                if (connection != null && ready)
                {
                    TrySendAll(connection);
                }
                var frames = m_frames;
                if (frames != null)
                {
                    TryKeepSubscriptions(frames);
                }
                Watch(connection, ready);
                ExpireRequests();
            }
        }

        private void TrySendAll(ZmtpConnection connection)
        {
            try
            {
                SendAll(connection);
            }
            catch (SocketException error)
            {
                m_control.Drop("the daemon takes no more requests (" + error.Message + ")");
            }
            catch (ObjectDisposedException)
            {
                // The reader has seen it and tells why.
            }
        }

        private void TryKeepSubscriptions(ZmtpLink frames)
        {
            try
            {
                m_framesReader.KeepSubscriptions(Sessions);
            }
            catch (SocketException error)
            {
                frames.Drop("the daemon takes no more subscriptions (" + error.Message + ")");
            }
            catch (ObjectDisposedException)
            {
                // The reader has seen it.
            }
        }

        private void SendAll(ZmtpConnection connection)
        {
            var nowMs = NowMs;
            foreach (var session in Sessions)
            {
                if (session.BeginOpening(nowMs))
                {
                    Enqueue(new Opening(this, session, nowMs + OpenTimeoutMs));
                }
                if (session.TakeCancel())
                {
                    Tell(session, (writer, number) => Requests.Cancel(writer, number, session.AvatarId));
                }
            }
            SendOutbox(connection);
            foreach (var session in Sessions)
            {
                SendSpeech(connection, session, session.Speech, nowMs);
                SendSpeech(connection, session, session.Heard, nowMs);
            }
            if (nowMs >= m_nextPingMs)
            {
                SendPing(connection, nowMs);
            }
        }

        private void SendOutbox(ZmtpConnection connection)
        {
            while (true)
            {
                PendingRequest request;
                long number;
                lock (m_guard)
                {
                    if (m_outbox.Count == 0)
                    {
                        return;
                    }
                    request = m_outbox.Dequeue();
                    number = ++m_number;
                    m_pending[number] = request;
                }
                request.Write(m_writer, number);
                var payload = request.Payload;
                connection.Send(m_writer.Buffer, m_writer.Count, payload, 0, payload == null ? 0 : payload.Length);
            }
        }

        private void SendSpeech(ZmtpConnection connection, AvatarSession session, SpeechQueue queue, long nowMs)
        {
            if (!session.MaySpeak(nowMs))
            {
                return;
            }
            long number;
            lock (m_guard)
            {
                number = ++m_number;
            }
            int payloadBytes;
            if (queue.TryNext(number, nowMs, session.AvatarId, m_writer, ref m_payload, out payloadBytes))
            {
                connection.Send(
                    m_writer.Buffer, m_writer.Count, payloadBytes < 0 ? null : m_payload, 0, Math.Max(payloadBytes, 0));
            }
        }

        private void SendPing(ZmtpConnection connection, long nowMs)
        {
            lock (m_guard)
            {
                var timeoutMs = m_welcome.Limits.Get("client_timeout_ms", 10000);
                m_nextPingMs = nowMs + (long)Math.Max(100, Math.Min(LongestPingPauseMs, timeoutMs / 3));
                m_pingNumber = ++m_number;
                m_pingTicks = Stopwatch.GetTimestamp();
                Requests.Ping(m_writer, m_pingNumber);
            }
            connection.Send(m_writer.Buffer, m_writer.Count, null, 0, 0);
        }

        /// <summary>Gives up connections on which nothing comes any more, though an answer or figures are due.</summary>
        private void Watch(ZmtpConnection connection, bool ready)
        {
            if (connection != null)
            {
                bool greets;
                lock (m_guard)
                {
                    greets = m_state == ConnectionState.Greeting && NowMs > m_helloMs + m_settings.HandshakeTimeoutMs;
                }
                if (greets)
                {
                    m_control.Drop("what listens there does not answer as a LLIA daemon");
                }
                else if (ready && connection.SilentMs > m_settings.SilenceTimeoutMs)
                {
                    m_control.Drop("the daemon has not answered for " + m_settings.SilenceTimeoutMs + " ms");
                }
            }
            var frames = m_frames;
            if (frames != null && m_framesReader.IsSilent(Sessions, m_settings.SilenceTimeoutMs))
            {
                frames.Drop("no frames have come for " + m_settings.SilenceTimeoutMs + " ms");
            }
        }

        private void ExpireRequests()
        {
            var nowMs = NowMs;
            lock (m_guard)
            {
                foreach (var pending in m_pending)
                {
                    if (nowMs > pending.Value.DeadlineMs)
                    {
                        m_overdue.Add(pending.Key);
                    }
                }
            }
            for (var i = 0; i < m_overdue.Count; i++)
            {
                PendingRequest request;
                lock (m_guard)
                {
                    if (!m_pending.TryGetValue(m_overdue[i], out request))
                    {
                        continue;
                    }
                    m_pending.Remove(m_overdue[i]);
                }
                request.Fail("timeout", "the daemon did not answer in time");
            }
            m_overdue.Clear();
            while (true)
            {
                PendingRequest late;
                lock (m_guard)
                {
                    if (m_outbox.Count == 0 || nowMs <= m_outbox.Peek().DeadlineMs)
                    {
                        return;
                    }
                    late = m_outbox.Dequeue();
                }
                late.Fail("timeout", "there was no daemon to ask in time");
            }
        }

        private void Enqueue(PendingRequest request)
        {
            lock (m_guard)
            {
                if (!m_closed && m_outbox.Count < MostRequests)
                {
                    m_outbox.Enqueue(request);
                    Wake();
                    return;
                }
            }
            request.Fail(m_closed ? "closed" : "too_many", m_closed
                ? "the client was closed" : MostRequests + " requests wait for the daemon");
        }

        private void FailAll(string code, string text)
        {
            var failed = new List<PendingRequest>();
            lock (m_guard)
            {
                failed.AddRange(m_pending.Values);
                failed.AddRange(m_outbox);
                m_pending.Clear();
                m_outbox.Clear();
            }
            failed.ForEach(request => request.Fail(code, text));
        }

        private void SetState(ConnectionState state, string problem)
        {
            lock (m_guard)
            {
                if (m_state == ConnectionState.Closed || (m_state == state && m_problem == problem))
                {
                    return;
                }
                m_state = state;
                m_problem = problem;
            }
            var changed = StatusChanged;
            if (changed != null)
            {
                changed();
            }
        }

        /// <summary>Frees the avatars now instead of after the daemon's patience; if that fails it does so itself.</summary>
        private void SayGoodbye(AvatarSession[] sessions)
        {
            ZmtpConnection connection;
            lock (m_guard)
            {
                connection = m_state == ConnectionState.Ready ? m_controlConnection : null;
            }
            var writer = new MsgpackWriter();
            try
            {
                foreach (var session in sessions)
                {
                    if (connection != null && session.AvatarId.Length > 0 && !session.Settings.UseDefault)
                    {
                        Requests.CloseAvatar(writer, -1, session.AvatarId);
                        connection.Send(writer.Buffer, writer.Count, null, 0, 0);
                    }
                }
            }
            catch (SocketException)
            {
                // The daemon is gone, and its avatars with it.
            }
            catch (ObjectDisposedException)
            {
                // Likewise.
            }
        }

        private Backoff NewBackoff()
        {
            return new Backoff(m_settings.FirstRetryMs, m_settings.LongestRetryMs, Guid.NewGuid().GetHashCode());
        }

        /// <summary>Opening an avatar.</summary>
        private sealed class Opening : PendingRequest
        {
            private readonly LliaClient m_client;
            private readonly AvatarSession m_session;

            public Opening(LliaClient client, AvatarSession session, long deadlineMs)
                : base(session.WriteOpening, session.Settings.PictureFile, deadlineMs)
            {
                m_client = client;
                m_session = session;
            }

            public override void Answer(Reply reply)
            {
                var opened = reply as AvatarReply;
                if (opened == null)
                {
                    Fail("bad_answer", "the daemon gave another answer than the protocol tells");
                    return;
                }
                m_session.Opened(opened, m_client.NowMs);
                m_session.WriteWanted(write => m_client.Tell(m_session, write));
                m_client.Wake();
            }

            public override void Fail(string code, string text)
            {
                m_session.Refused(code, text, m_client.NowMs);
            }
        }

        /// <summary>A request of an avatar that nobody awaits.</summary>
        private sealed class Notice : PendingRequest
        {
            private readonly AvatarSession m_session;

            public Notice(AvatarSession session, Action<MsgpackWriter, long> write, long deadlineMs) : base(write, null, deadlineMs)
            {
                m_session = session;
            }

            public override void Answer(Reply reply)
            {
            }

            public override void Fail(string code, string text)
            {
                if (m_session != null && code != "disconnected" && code != "closed" && code != "unknown_avatar")
                {
                    m_session.Tell(code, text);
                }
            }
        }
    }
}
