using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using Llia.Core;
using UnityEngine;
using UnityEngine.Events;
#if UNITY_EDITOR
using UnityEditor;
#endif

namespace Llia
{
    /// <summary>
    /// The scene's connection to the LLIA daemon. Avatars find it, or make one with these defaults if there is none. It
    /// connects, and connects again, by itself.
    /// </summary>
    [AddComponentMenu("LLIA/LLIA Connection")]
    [DisallowMultipleComponent]
    [DefaultExecutionOrder(-100)]
    public sealed class LliaConnection : MonoBehaviour
    {
        public const string DefaultEndpoint = "tcp://127.0.0.1:5570";

        private static readonly List<LliaConnection> s_enabled = new List<LliaConnection>();

        [SerializeField, Tooltip("The daemon's control socket, as llia run prints it.")]
        private string m_endpoint = DefaultEndpoint;

        [SerializeField, Tooltip("The frames socket; leave it empty to take the one that the daemon tells.")]
        private string m_framesEndpoint = "";

        [SerializeField, Tooltip("Start the daemon where none answers, and end it with the game.")]
        private bool m_startDaemon;

        [SerializeField, Tooltip("Program that is started, by name or path.")]
        private string m_daemonCommand = "llia";

        [SerializeField, Tooltip("Its arguments.")]
        private string m_daemonArguments = "run --config unity-npc";

        [SerializeField] private UnityEvent m_onConnected = new UnityEvent();
        [SerializeField] private UnityEvent<string> m_onDisconnected = new UnityEvent<string>();

        private LliaClient m_client;
        private DaemonProcess m_daemon;
        private ConnectionState m_toldState = ConnectionState.Closed;
        private int m_statusChanged;
        private double m_startDaemonAtS;

        /// <summary>The daemon has answered.</summary>
        public event Action Connected;

        /// <summary>It does not answer, or not any more; with one line that tells why.</summary>
        public event Action<string> Disconnected;

        /// <summary>The first one that is enabled; null if there is none.</summary>
        public static LliaConnection Current
        {
            get { return s_enabled.Count > 0 ? s_enabled[0] : null; }
        }

        /// <summary>Takes effect when the component is enabled the next time.</summary>
        public string Endpoint
        {
            get { return m_endpoint; }
            set { m_endpoint = value; }
        }

        /// <summary>Likewise; empty: the one that the daemon tells.</summary>
        public string FramesEndpoint
        {
            get { return m_framesEndpoint; }
            set { m_framesEndpoint = value; }
        }

        /// <summary>Start the daemon where none answers. Likewise.</summary>
        public bool StartDaemon
        {
            get { return m_startDaemon; }
            set { m_startDaemon = value; }
        }

        public string DaemonCommand
        {
            get { return m_daemonCommand; }
            set { m_daemonCommand = value; }
        }

        public string DaemonArguments
        {
            get { return m_daemonArguments; }
            set { m_daemonArguments = value; }
        }

        public UnityEvent OnConnected
        {
            get { return m_onConnected; }
        }

        public UnityEvent<string> OnDisconnected
        {
            get { return m_onDisconnected; }
        }

        public bool IsConnected
        {
            get { return Status.State == ConnectionState.Ready; }
        }

        public ConnectionStatus Status
        {
            get
            {
                var client = m_client;
                return client != null
                    ? client.Status
                    : new ConnectionStatus { State = ConnectionState.Closed, Problem = "", Daemon = "", RoundTripMs = -1 };
            }
        }

        /// <summary>What to do when no daemon answers; empty if all is well.</summary>
        public string Help
        {
            get { return ConnectionHelp.For(Status, m_endpoint, m_daemon == null ? "" : m_daemon.Problem); }
        }

        /// <summary>Names of the expressions that the daemon offers.</summary>
        public string[] Expressions
        {
            get { return m_client == null ? new string[0] : m_client.Expressions; }
        }

        /// <summary>The client; null while this is disabled.</summary>
        public LliaClient Client
        {
            get { return m_client; }
        }

        /// <summary>Asks once whether a daemon answers; also in edit mode. Never throws: the report tells what is wrong.</summary>
        public Task<ConnectionReport> TestAsync(CancellationToken cancellation)
        {
            return ConnectionTest.RunAsync(m_endpoint, cancellation);
        }

        /// <summary>Tries again now instead of waiting for the next attempt.</summary>
        public void ConnectNow()
        {
            if (m_client != null)
            {
                m_client.Hurry();
            }
        }

        /// <summary>The scene's connection; made with defaults if there is none.</summary>
        internal static LliaConnection FindOrMake()
        {
            return Current != null ? Current : new GameObject("LLIA Connection").AddComponent<LliaConnection>();
        }

        /// <summary>Without a domain reload statics outlive play mode.</summary>
        [RuntimeInitializeOnLoadMethod(RuntimeInitializeLoadType.SubsystemRegistration)]
        private static void ResetStatics()
        {
            foreach (var left in s_enabled.ToArray())
            {
                left.Shut();
            }
            s_enabled.Clear();
        }

        private void OnEnable()
        {
            if (s_enabled.Count > 0)
            {
                Debug.LogWarning("LLIA: there is more than one LLIA Connection; avatars take the first unless they name "
                    + "another", this);
            }
            s_enabled.Add(this);
            try
            {
                m_client = new LliaClient(new ClientSettings
                {
                    ControlEndpoint = m_endpoint,
                    FramesEndpoint = m_framesEndpoint ?? "",
                    ClientName = "unity " + Application.productName,
                });
            }
            catch (FormatException error)
            {
                Debug.LogError("LLIA: " + error.Message + " (LLIA Connection > Endpoint)", this);
                return;
            }
            m_client.StatusChanged += NoteStatus;
            m_toldState = ConnectionState.Closed;
            m_statusChanged = 1;
            m_startDaemonAtS = Time.realtimeSinceStartupAsDouble + 1.0;
            Application.quitting += Shut;
#if UNITY_EDITOR
            AssemblyReloadEvents.beforeAssemblyReload += Shut;
            EditorApplication.quitting += Shut;
#endif
        }

        private void Update()
        {
            if (Interlocked.Exchange(ref m_statusChanged, 0) != 0)
            {
                TellStatus();
            }
            if (m_startDaemon && m_daemon == null && m_client != null && m_toldState != ConnectionState.Ready
                && Time.realtimeSinceStartupAsDouble > m_startDaemonAtS)
            {
                m_daemon = DaemonProcess.Start(m_daemonCommand, m_daemonArguments);
                if (m_daemon.Problem.Length > 0)
                {
                    Debug.LogError("LLIA: " + m_daemon.Problem, this);
                }
                m_client.Hurry();
            }
        }

        private void OnDisable()
        {
            s_enabled.Remove(this);
            Shut();
        }

        /// <summary>Ends threads, sockets and the daemon that this has started; more than once does no harm.</summary>
        private void Shut()
        {
            Application.quitting -= Shut;
#if UNITY_EDITOR
            AssemblyReloadEvents.beforeAssemblyReload -= Shut;
            EditorApplication.quitting -= Shut;
#endif
            var client = m_client;
            m_client = null;
            if (client != null)
            {
                client.StatusChanged -= NoteStatus;
                client.Dispose();
            }
            var daemon = m_daemon;
            m_daemon = null;
            if (daemon != null)
            {
                daemon.End();
            }
        }

        /// <summary>Comes on a thread of the client's.</summary>
        private void NoteStatus()
        {
            Interlocked.Exchange(ref m_statusChanged, 1);
        }

        private void TellStatus()
        {
            var status = Status;
            var was = m_toldState;
            m_toldState = status.State;
            if (status.State == ConnectionState.Ready && was != ConnectionState.Ready)
            {
                m_onConnected.Invoke();
                if (Connected != null)
                {
                    Connected();
                }
            }
            else if (status.Problem.Length > 0 && status.State != ConnectionState.Ready
                && (was == ConnectionState.Ready || was == ConnectionState.Closed))
            {
                Debug.LogWarning("LLIA: " + Help, this);
                m_onDisconnected.Invoke(status.Problem);
                if (Disconnected != null)
                {
                    Disconnected(status.Problem);
                }
            }
            else if (status.State != ConnectionState.Ready && status.Problem.Length == 0)
            {
                m_toldState = was; // neither good nor bad news yet
            }
        }
    }
}
