using Llia.Core;

namespace Llia
{
    /// <summary>What to tell a user whose game has no daemon.</summary>
    internal static class ConnectionHelp
    {
        public const string Run = "llia run --config unity-npc";

        public static string For(ConnectionStatus status, string endpoint, string daemonProblem)
        {
            switch (status.State)
            {
                case ConnectionState.Ready:
                    return "";
                case ConnectionState.Refused:
                    return status.Problem + ". Update the package and the daemon to versions that belong together.";
                case ConnectionState.Greeting:
                    return "Something listens at " + endpoint + "; waiting for its answer.";
                case ConnectionState.Closed:
                    return "The connection is switched off; it opens in play mode.";
                default:
                    var start = "No daemon answers (" + (status.Problem.Length > 0 ? status.Problem : endpoint)
                        + "). Start one in a terminal: " + Run
                        + " (in a clone of the LLIA repository: make run). Or tick Start Daemon on the LLIA Connection. "
                        + "If it listens elsewhere, set Endpoint to the address it prints as control.";
                    return daemonProblem.Length > 0 ? daemonProblem + " " + start : start;
            }
        }
    }
}
