using System;
using System.ComponentModel;
using System.Diagnostics;

namespace Llia
{
    /// <summary>A daemon that the game has started and ends again.</summary>
    internal sealed class DaemonProcess
    {
        private Process m_process;

        /// <summary>Why it could not be started, one line; else empty.</summary>
        public string Problem { get; private set; }

        public static DaemonProcess Start(string command, string arguments)
        {
            var started = new DaemonProcess { Problem = "" };
            try
            {
                started.m_process = Process.Start(new ProcessStartInfo(command, arguments)
                {
                    UseShellExecute = false,
                    CreateNoWindow = true,
                });
                if (started.m_process == null)
                {
                    started.Problem = "'" + command + "' was not started.";
                }
            }
            catch (Win32Exception error)
            {
                started.Problem = "'" + command + "' cannot be started (" + error.Message
                    + "); give the whole path of llia in Daemon Command.";
            }
            catch (InvalidOperationException error)
            {
                started.Problem = "'" + command + "' cannot be started (" + error.Message + ").";
            }
            catch (NotSupportedException)
            {
                // IL2CPP has no processes.
                started.Problem = "this player cannot start programs; start llia run before the game.";
            }
            return started;
        }

        /// <summary>Ends it. The daemon loses nothing by that: it keeps no files open but a recording, which stays playable.</summary>
        public void End()
        {
            var process = m_process;
            m_process = null;
            if (process == null)
            {
                return;
            }
            try
            {
                if (!process.HasExited)
                {
                    process.Kill();
                    process.WaitForExit(1000);
                }
            }
            catch (InvalidOperationException)
            {
                // It has ended meanwhile.
            }
            catch (Win32Exception)
            {
                // Likewise.
            }
            process.Dispose();
        }
    }
}
