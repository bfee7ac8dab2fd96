using System.Threading;
using Llia.Core;
using UnityEditor;
using UnityEngine;

namespace Llia.Editor
{
    /// <summary>Inspector of a connection: where the daemon is, how it answers, what to do if it does not.</summary>
    [CustomEditor(typeof(LliaConnection))]
    internal sealed class LliaConnectionEditor : UnityEditor.Editor
    {
        private static readonly string[] s_always = { "m_endpoint", "m_framesEndpoint", "m_startDaemon" };
        private static readonly string[] s_daemon = { "m_daemonCommand", "m_daemonArguments" };
        private static readonly string[] s_events = { "m_onConnected", "m_onDisconnected" };

        private ConnectionReport m_report;
        private CancellationTokenSource m_testing;
        private bool m_tested;
        private bool m_showEvents;

        public override bool RequiresConstantRepaint()
        {
            return Application.isPlaying || m_testing != null;
        }

        public override void OnInspectorGUI()
        {
            serializedObject.Update();
            Fields.Show(serializedObject, s_always);
            if (serializedObject.FindProperty("m_startDaemon").boolValue)
            {
                Fields.Show(serializedObject, s_daemon);
            }
            EditorGUILayout.Space();
            var connection = (LliaConnection)target;
            ShowTest(connection);
            if (Application.isPlaying)
            {
                ShowStatus(connection);
            }
            m_showEvents = EditorGUILayout.Foldout(m_showEvents, "Events");
            if (m_showEvents)
            {
                Fields.Show(serializedObject, s_events);
            }
            serializedObject.ApplyModifiedProperties();
        }

        private void OnDisable()
        {
            if (m_testing != null)
            {
                m_testing.Cancel();
            }
        }

        private void ShowTest(LliaConnection connection)
        {
            using (new EditorGUI.DisabledScope(m_testing != null))
            {
                if (GUILayout.Button(m_testing == null ? "Test Connection" : "Testing…"))
                {
                    Test(connection);
                }
            }
            if (m_tested)
            {
                EditorGUILayout.HelpBox(m_report.Text, m_report.Ok ? MessageType.Info : MessageType.Error);
                ShowHelp(m_report.Help);
            }
        }

        private static void ShowStatus(LliaConnection connection)
        {
            var status = connection.Status;
            EditorGUILayout.LabelField("Status", status.State.ToString());
            EditorGUILayout.LabelField("Daemon", status.Daemon);
            EditorGUILayout.LabelField("Round trip", status.RoundTripMs < 0 ? "-" : status.RoundTripMs.ToString("0.0") + " ms");
            EditorGUILayout.LabelField("Connections made", status.Connections.ToString());
            if (status.Malformed > 0)
            {
                EditorGUILayout.LabelField("Unreadable messages", status.Malformed + ": " + status.MalformedText);
            }
            ShowHelp(connection.Help);
            if (status.State == ConnectionState.Disconnected && GUILayout.Button("Connect now"))
            {
                connection.ConnectNow();
            }
        }

        private static void ShowHelp(string help)
        {
            if (help.Length == 0)
            {
                return;
            }
            EditorGUILayout.HelpBox(help, MessageType.Warning);
            if (GUILayout.Button("Copy the command: " + ConnectionHelp.Run))
            {
                EditorGUIUtility.systemCopyBuffer = ConnectionHelp.Run;
            }
        }

        private async void Test(LliaConnection connection)
        {
            m_testing = new CancellationTokenSource();
            var report = await connection.TestAsync(m_testing.Token);
            m_testing.Dispose();
            m_testing = null;
            m_report = report;
            m_tested = true;
            if (this != null)
            {
                Repaint();
            }
        }
    }
}
