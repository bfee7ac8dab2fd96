using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Llia.Tests.Runtime")]
